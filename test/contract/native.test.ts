import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { type DataPlaneInfo, SUITE_AES256GCM } from '../../src/dataplane/dataplane.js';
import { createNativeDataPlane } from '../../src/dataplane/native.js';
import type { Mac } from '../../src/model/mac.js';
import { must } from '../netns/lib/exec.js';
import { describeDataPlane, type Rig } from './data-plane-contract.js';
import { describeEthernet } from './ethernet-contract.js';
import { MAC_A, MAC_B, MAC_C } from './fixtures.js';
import { describeNetworks, type NetworkLine } from './networks-contract.js';
import { describeRelay, type Line } from './relay-contract.js';
import { describeTcp } from './tcp-contract.js';

/*
 * The addon keeps the contract: two of them in this process, over loopback, each with a TAP without addresses.
 *
 *     frame_pipe ── TAP a ── a ══ 127.0.0.1 / 127.0.0.2 ══ b ── TAP b ── frame_pipe
 */

const ROOT = new URL('../../../', import.meta.url).pathname;
const POLL_MS = 2;
let rigs = 0;

async function startPipe(
  out: string,
  into: string,
  frames: Uint8Array[],
): Promise<{ child: ChildProcess; send(frame: Uint8Array): void }> {
  const child = spawn(`${ROOT}build/native-test/tools/frame_pipe`, [out, into], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout);
  const first = (await once(lines, 'line')) as [string];
  assert.deepEqual(first, ['ready']);
  lines.on('line', (line) => frames.push(new Uint8Array(Buffer.from(line, 'hex'))));
  return { child, send: (frame) => child.stdin.write(`${Buffer.from(frame).toString('hex')}\n`) };
}

async function until(isDone: () => boolean, withinMs: number): Promise<boolean> {
  const endMs = performance.now() + withinMs;
  while (!isDone()) {
    if (performance.now() > endMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

const meshId = new Uint8Array(16).fill(1);

/** With nothing on it but the test's own frames. */
async function bringUp(tapName: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv6/conf/${tapName}/disable_ipv6`, '1').catch(() => undefined);
  await must(['ip', 'link', 'set', tapName, 'up']);
}

/** One more data plane in this process, with a TAP up. */
async function openPlane(tapName: string, address: string, mac: Mac) {
  const plane = createNativeDataPlane();
  const info: DataPlaneInfo = plane.open({
    tapName,
    mtuBytes: 1388,
    port: 0,
    bind: [address],
    meshId,
    suites: [SUITE_AES256GCM],
    ownMacs: [mac],
    queuePairs: 1,
  });
  await bringUp(tapName);
  return { plane, endpoint: { family: 4, address, port: info.localPort } as const };
}

function tapNames(): (side: string) => string {
  const number = rigs++;
  return (side) => `ovlc${String(process.pid)}${side}${String(number)}`;
}

const makeRig = async (): Promise<Rig> => {
  const tapOf = tapNames();
  const a = await openPlane(tapOf('a'), '127.0.0.1', MAC_A);
  const b = await openPlane(tapOf('b'), '127.0.0.2', MAC_B);
  const framesB: Uint8Array[] = [];
  const pipe = await startPipe(tapOf('a'), tapOf('b'), framesB);
  return {
    a: a.plane,
    b: b.plane,
    endpointA: a.endpoint,
    endpointB: b.endpoint,
    meshId,
    injectA: (frame) => pipe.send(frame),
    framesB,
    until,
    close: async () => {
      const ended = once(pipe.child, 'exit');
      pipe.child.stdin?.end();
      await ended;
      a.plane.close();
      b.plane.close();
    },
  };
};

const makeLine = async (): Promise<Line> => {
  const tapOf = tapNames();
  const a = await openPlane(tapOf('a'), '127.0.0.1', MAC_A);
  const b = await openPlane(tapOf('b'), '127.0.0.2', MAC_B);
  const c = await openPlane(tapOf('c'), '127.0.0.3', MAC_C);
  const framesA: Uint8Array[] = [];
  const framesC: Uint8Array[] = [];
  const pipe = await startPipe(tapOf('a'), tapOf('c'), framesC);
  const ear = await startPipe(tapOf('a'), tapOf('a'), framesA);
  return {
    planes: { a: a.plane, b: b.plane, c: c.plane },
    endpoints: { a: a.endpoint, b: b.endpoint, c: c.endpoint },
    meshId,
    injectA: (frame) => {
      pipe.send(frame);
    },
    framesA,
    framesC,
    until,
    close: async () => {
      for (const { child } of [pipe, ear]) {
        const ended = once(child, 'exit');
        child.stdin?.end();
        await ended;
      }
      for (const { plane } of [a, b, c]) plane.close();
    },
  };
};

const makeNetworkLine = async (): Promise<NetworkLine> => {
  const nameOf = tapNames();
  const networks: number[] = [];
  /** Names have room for one character. */
  const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+=@~';
  const tapOf = (side: string, network: number) => {
    if (!networks.includes(network)) networks.push(network);
    const letter = LETTERS.charAt(networks.indexOf(network));
    return nameOf(`${side}${letter}`);
  };
  const a = await openPlane(tapOf('a', 0), '127.0.0.1', MAC_A);
  const c = await openPlane(tapOf('c', 0), '127.0.0.3', MAC_C);
  const frames = new Map<number, Uint8Array[]>();
  const pipes = new Map<number, Awaited<ReturnType<typeof startPipe>>>();
  const framesOf = (network: number): Uint8Array[] => {
    const known = frames.get(network) ?? [];
    frames.set(network, known);
    return known;
  };
  const end = async (child: ChildProcess) => {
    const ended = once(child, 'exit');
    child.stdin?.end();
    await ended;
  };
  return {
    planes: { a: a.plane, c: c.plane },
    endpoints: { a: a.endpoint, c: c.endpoint },
    tapOf,
    wire: async (network) => {
      const [from, to] = [tapOf('a', network), tapOf('c', network)];
      await Promise.all([bringUp(from), bringUp(to)]);
      const before = pipes.get(network);
      if (before) await end(before.child);
      pipes.set(network, await startPipe(from, to, framesOf(network)));
    },
    inject: (network, frame) => pipes.get(network)?.send(frame),
    framesOf,
    until,
    close: async () => {
      for (const { child } of pipes.values()) await end(child);
      a.plane.close();
      c.plane.close();
    },
  };
};

before(async function () {
  this.timeout(120_000);
  await must(['make', '-s', '-C', `${ROOT}native/test`, 'tools'], { timeoutMs: 60_000 });
});

describeDataPlane('native', makeRig, { hasFrames: true });
describeRelay('native', makeLine);
describeTcp('native', makeRig);
describeEthernet('native', makeLine);
describeNetworks('native', makeNetworkLine);
