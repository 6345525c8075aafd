import { createSystemRng } from '../../../src/base/system-rng.js';
import { meshIdOf } from '../../../src/crypto/mesh.js';
import { sodium } from '../../../src/crypto/sodium.js';
import { encodeInit } from '../../../src/wire/handshake.js';
import { Attacker } from './attacker.js';
import type { TestDaemon } from './daemon.js';
import { newIndex, passwordSecret } from './hostile-member.js';
import { type Host, Topology } from './topology.js';

/*
 *     alice ----+             alice waits, bob has --peer; carol is for later; mallory is on the same switch, sends
 *     bob   ----+---- lan     from any address, and gets what is sent to invented ones
 *     carol ----+             (mallory can be reached from dave's address and not from those it borrows)
 *     dave -----+
 *     mallory --+
 */
export class HostileScene {
  readonly topology: Topology;
  readonly alice: Host;
  readonly bob: Host;
  readonly carol: Host;
  readonly dave: Host;
  readonly mallory: Host;
  readonly lan: Host;
  readonly attacker: Attacker;
  /** Of the right password. */
  readonly prs: Uint8Array;
  #strangers = 0;

  private constructor(
    topology: Topology,
    hosts: Pick<HostileScene, 'alice' | 'bob' | 'carol' | 'dave' | 'mallory' | 'lan'>,
    attacker: Attacker,
    prs: Uint8Array,
  ) {
    this.topology = topology;
    this.alice = hosts.alice;
    this.bob = hosts.bob;
    this.carol = hosts.carol;
    this.dave = hosts.dave;
    this.mallory = hosts.mallory;
    this.lan = hosts.lan;
    this.attacker = attacker;
    this.prs = prs;
  }

  static async open(): Promise<HostileScene> {
    const topology = await Topology.create();
    const alice = await topology.host('alice');
    const bob = await topology.host('bob');
    const carol = await topology.host('carol');
    const dave = await topology.host('dave');
    const mallory = await topology.host('mallory');
    const lan = (await topology.lan([alice, bob, carol, dave, mallory], { underlay: 'ipv4' })).host;
    const borrowed = [bob.address(), carol.address()];
    const attacker = await Attacker.start(mallory, [alice, bob, carol, dave], borrowed);
    const hosts = { alice, bob, carol, dave, mallory, lan };
    return new HostileScene(topology, hosts, attacker, await passwordSecret());
  }

  /** Where alice's daemon listens. */
  get target(): string {
    return `${this.alice.address()}:6783`;
  }

  async startBoth(args: readonly string[] = []): Promise<{ a: TestDaemon; b: TestDaemon }> {
    const a = await this.alice.startDaemon({ args });
    await a.wait('ready');
    const b = await this.bob.startDaemon({ args, peers: [this.alice.address()] });
    await Promise.all([a.wait('peers=2'), b.wait('peers=2')]);
    return { a, b };
  }

  /** An address of mallory's with all its guesses. */
  newSource(): string {
    return `198.18.9.${String(++this.#strangers)}:6783`;
  }

  async close(): Promise<void> {
    await this.attacker.stop();
    await this.topology.dispose();
  }
}

/** A well-formed INIT that costs its sender nothing: a valid point, no handshake behind it. */
export function cheapInit(): Uint8Array {
  const rng = createSystemRng();
  return encodeInit({
    version: 1,
    flags: 0,
    senderIndex: newIndex(),
    meshId: meshIdOf('default'),
    sid: rng.bytes(16),
    y: sodium.crypto_core_ristretto255_random(),
    suites: 7,
    slot: 0,
  });
}
