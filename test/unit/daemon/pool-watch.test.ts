import assert from 'node:assert/strict';

import { PoolWatch } from '../../../src/daemon/pool-watch.js';

describe('pools learned from the mesh', () => {
  const warningOf = (pool: string) => ({ code: 'pool-overlap', message: pool, cure: 'c' });

  it('are compared with the host’s routes when either changes, and what overlaps is said once', async () => {
    let pools = ['10.32.0.0/12'];
    let routed: string[] = [];
    let looks = 0;
    let due: (() => void) | undefined;
    let news = (): void => undefined;
    const said: string[] = [];
    const watch = new PoolWatch({
      timers: {
        set: (_delayMs, callback) => {
          due = callback;
          return () => (due = undefined);
        },
      },
      network: {
        watch: (_ignored, onChange) => {
          news = onChange;
          return () => undefined;
        },
      },
      pools: () => pools,
      overlaps: async (asked) => {
        looks += 1;
        return Promise.resolve(asked.filter((pool) => routed.includes(pool)).map(warningOf));
      },
      onWarning: ({ message }) => said.push(message),
    });
    const turn = async (): Promise<void> => {
      due?.();
      for (let at = 0; at < 10; at++) await Promise.resolve();
    };
    watch.start();
    await turn();
    await turn();
    assert.deepEqual([looks, said], [1, []]);
    // A pool comes, then a route.
    routed = ['10.80.0.0/16'];
    pools = [...pools, '10.80.0.0/16'];
    await turn();
    assert.deepEqual([looks, said], [2, ['10.80.0.0/16']]);
    routed = [...routed, '10.32.0.0/12'];
    await turn();
    assert.equal(looks, 2);
    news();
    await turn();
    assert.deepEqual([looks, said.length, watch.warnings.length], [3, 2, 2]);
    // It is gone: said no more.
    routed = [];
    news();
    await turn();
    assert.deepEqual([said.length, watch.warnings], [2, []]);
    await watch.stop();
    assert.equal(due, undefined);
  });
});
