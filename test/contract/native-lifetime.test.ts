import assert from 'node:assert/strict';

import { run } from '../netns/lib/exec.js';

/*
 * The end of a process or a worker that has native data planes, in every state they can be in. Each story runs in a
 * process of its own, which must end with 0: what is wrong here is a crash in freed memory.
 */

const ADDON = new URL('../../../build/Release/overlayd.node', import.meta.url).pathname;

/** What all stories share: `make()` opens one that datagrams arrive at, so that its threads are busy waking us. */
const PRELUDE = `
const { createRequire } = process.getBuiltinModule('node:module');
const { Worker, workerData } = process.getBuiltinModule('node:worker_threads');
const { DataPlane } = createRequire('/')(${JSON.stringify(ADDON)});
let made = 0;
function idle() {
  const plane = new DataPlane();
  plane.onReadable(() => plane.drain());
  return plane;
}
function make() {
  const plane = idle();
  const opened = plane.open({
    tapName: 'ovl' + process.pid + (workerData ?? '') + '-' + made++, mtuBytes: 1388, port: 0, bind: ['127.0.0.1'],
    meshId: new Uint8Array(16).fill(1), suites: [1], ownMacs: [], queuePairs: 2, provider: 'libsodium', without: [],
  });
  if (opened.code !== undefined) throw new Error(opened.step + ': ' + opened.reason);
  const to = new Uint8Array(19);
  to.set([4, 127, 0, 0, 1]);
  new DataView(to.buffer).setUint16(17, opened.localPort, true);
  const bytes = new Uint8Array(512);
  bytes.set([2, 1]);
  bytes.fill(1, 4, 272);
  plane.send(Array.from({ length: 200 }, () => ({ kind: 'datagram', to, bytes })));
  return plane;
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
async function collect() {
  for (let i = 0; i < 20; i++) { gc(); await turn(); }
}
`;

const STORIES: readonly (readonly [string, string])[] = [
  ['made and never opened', 'idle()'],
  ['opened, closed, and the process ends', 'make().close()'],
  ['opened, closed, and the process exits', 'make().close(); process.exit(0)'],
  [
    'closed twice, after a turn of the loop',
    'const p = make(); p.close(); await turn(); p.close()',
  ],
  ['opened, never closed, and the process ends', 'make()'],
  ['opened, never closed, and the process exits', 'make(); await turn(); process.exit(0)'],
  ['closed and collected', 'for (let i = 0; i < 3; i++) make().close(); await collect()'],
  ['never opened and collected', 'for (let i = 0; i < 50; i++) new DataPlane(); await collect()'],
  [
    'left open by a worker that ends, and by one that is stopped',
    `for (const [name, end] of [['a', ''], ['b', 'setInterval(() => {}, 1000)']]) {
      const code = PRELUDE + "make(); process.getBuiltinModule('node:worker_threads').parentPort.postMessage(1);" + end;
      const worker = new Worker('(async () => {' + code + '})()', { eval: true, workerData: name });
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      if (end !== '') await worker.terminate();
      else await new Promise((resolve) => worker.once('exit', resolve));
    }
    make().close();`,
  ],
];

describe('the end of a native data plane', function () {
  this.timeout(120_000);

  for (const [name, story] of STORIES) {
    it(name, async () => {
      const program = `const PRELUDE = ${JSON.stringify(PRELUDE)};${PRELUDE}(async () => {${story}})()`;
      const argv = [
        process.execPath,
        '--unhandled-rejections=strict',
        '--expose-gc',
        '-e',
        program,
      ];
      const outcome = await run(argv);
      assert.deepEqual({ code: outcome.code, stderr: outcome.stderr }, { code: 0, stderr: '' });
    });
  }
});
