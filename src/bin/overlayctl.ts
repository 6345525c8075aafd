#!/usr/bin/env node
import { OverlayError } from '../base/errors.js';
import { runOverlayctl } from '../cli/overlayctl.js';
import { peerIdFromBytes } from '../model/peer-id.js';

// `overlayctl report | head` is no failure: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

// Should it end without an answer.
process.exitCode = 1;
void runOverlayctl(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  env: process.env,
  monotonicMs: () => performance.now(),
  wallTime: () => new Date().toISOString(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  removeLeftovers,
}).then((exitCode) => {
  process.exitCode = exitCode;
});

/** Loaded only when needed: every other verb starts faster without it. */
async function removeLeftovers(ifName: string): Promise<readonly string[]> {
  const { createHostInterface, tapNameOf } = await import('../netdev/host-interface.js');
  const { readLink } = await import('../netdev/ip-json.js');
  const { CAP_NET_ADMIN, ownCapability } = await import('../netdev/capabilities.js');
  const names = [ifName, tapNameOf(ifName)];
  const found = await Promise.all(names.map((name) => readLink(name)));
  if (found.every((link) => link === undefined)) return [];
  if (!ownCapability(CAP_NET_ADMIN)) {
    throw new OverlayError('OVL_NOT_PERMITTED', `Cannot remove interface ${ifName}`, {
      value: ifName,
      cure: 'Run it as root.',
    });
  }
  const tap = found[1];
  // A TAP that is not persistent exists only while a process holds it open.
  if (tap !== undefined && !tap.isPersistent) {
    throw new OverlayError('OVL_IFACE_FOREIGN', `Interface ${tap.name} is held by a process`, {
      value: tap.name,
      cure: 'An overlayd runs behind another socket: name it by --socket, or stop it first.',
    });
  }
  // Whose they are is read from the marks on them: mesh and identity play no part in removal.
  await createHostInterface({
    ifName,
    meshId: new Uint8Array(16),
    peerId: peerIdFromBytes(new Uint8Array(16)),
    mtuBytes: 1388,
    pool: '0.0.0.0/0',
  }).removeEverything();
  const left = await Promise.all(names.map((name) => readLink(name)));
  const foreign = left.find((link) => link !== undefined);
  if (foreign === undefined) return names.filter((_, index) => found[index] !== undefined);
  throw new OverlayError(
    'OVL_IFACE_FOREIGN',
    `Interface ${foreign.name} was not made by overlayd`,
    {
      value: foreign.name,
      cure: 'It is left as it is; name the interface of your overlayd by --ifname.',
    },
  );
}
