import { Topology } from './topology.js';

/**
 * For a suite with one topology: disposes of it at the end, which fails when something was left, and shows what the
 * daemons said when a test failed. What must be undone before comes in hooks of the suite's own, registered before this.
 *
 * @param sceneOf undefined while the suite has not come to having one
 */
export function tidy(sceneOf: () => Topology | { readonly topology: Topology } | undefined): void {
  const topologyOf = (): Topology | undefined => {
    const scene = sceneOf();
    return scene instanceof Topology ? scene : scene?.topology;
  };
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topologyOf()?.logs());
  });
  after('leaves nothing behind', async () => {
    await topologyOf()?.dispose();
  });
}
