import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import type { EventDocument } from '../../src/api/control.js';
import { generateIdentity, peerIdOf } from '../../src/crypto/identity.js';
import { sodiumReady } from '../../src/crypto/sodium.js';
import type { DaemonComponents } from '../../src/daemon/daemon-components.js';
import { createDaemon, type Daemon } from '../../src/daemon/daemon.js';
import type {
  DaemonOptions,
  HostInterface,
  Logger,
  Resolver,
  Timers,
} from '../../src/daemon/ports.js';
import type { RecordRoom } from '../../src/daemon/record-room.js';
import type { TableEntry } from '../../src/dataplane/dataplane.js';
import { FakeDataPlane, type FakePayload } from '../../src/dataplane/fake.js';
import { FakeNetwork } from '../../src/dataplane/fake-network.js';
import { macBytes, type Mac } from '../../src/model/mac.js';
import { macOfPeer, type PeerId } from '../../src/model/peer-id.js';
import { MachineTime } from './machine-time.js';
import { MemoryState } from './memory-state.js';
import { CountedHandshakes } from './counted-handshake.js';
import { SharedRecords } from './shared-records.js';
import { SeededRng } from './seeded-rng.js';
import { VirtualTime } from './virtual-time.js';

/*
 * Daemons on a fake underlay in virtual time, from one seed: `const sim = await Sim.create(1); const a = sim.node('a')`.
 * A node is a machine: it keeps its state and its underlay addresses while its daemon is killed and started again.
 */

export const PORT = 6783;
export const POOL = '10.32.0.0/12';

export interface NodeSettings {
  readonly password?: string;
  readonly peers?: readonly string[];
  /** Underlay addresses; by default 192.0.2.<n>. */
  readonly underlay?: readonly string[];
  readonly options?: Partial<DaemonOptions>;
  /** What else lives in the records; asked for at each start of a process. */
  readonly rooms?: (node: SimNode) => readonly RecordRoom[];
  /** Opens the receiving end of a measurement. */
  readonly receiveLoad?: DaemonComponents['receiveLoad'];
  /** Its handshakes are counted instead of computed; they fit those of such nodes only. */
  readonly isCounted?: boolean;
  /** What it writes into the tables of its data plane, before that reads it. */
  readonly onTables?: (batch: readonly TableEntry[]) => void;
  /** Its data plane may refuse entries: the test sees to it. */
  readonly mayBeRefused?: boolean;
  /** A copy of that machine: same identity. */
  readonly identityOf?: SimNode;
}

export class Sim {
  readonly time = new VirtualTime();
  readonly rng: SeededRng;
  readonly network: FakeNetwork<FakePayload>;
  /** Names that resolve, for every node. */
  readonly names = new Map<string, readonly string[]>();
  readonly nodes: SimNode[] = [];
  /** Records are read and verified once for all nodes. */
  readonly records = new SharedRecords();

  /** Of nodes with `isCounted`. */
  readonly handshakes = new CountedHandshakes(peerIdOf);

  private constructor(seed: number) {
    this.rng = new SeededRng(seed);
    this.network = new FakeNetwork<FakePayload>(this.time, this.rng);
  }

  static async create(seed = 1): Promise<Sim> {
    await sodiumReady();
    return new Sim(seed);
  }

  node(name: string, settings: NodeSettings = {}): SimNode {
    const node = new SimNode(this, name, this.nodes.length + 1, settings);
    this.nodes.push(node);
    return node;
  }

  /** Fails with every node's peers when it does not come true in time. */
  async until(what: string, isDone: () => boolean, withinMs: number): Promise<number> {
    const startMs = this.time.nowMs();
    const isTrue = await this.time.runUntil(isDone, withinMs);
    if (!isTrue) assert.fail(`not within ${withinMs} ms: ${what}\n${this.#describe()}`);
    return this.time.nowMs() - startMs;
  }

  run(forMs: number): Promise<void> {
    return this.time.run(forMs);
  }

  /** @returns what ends it. */
  every(periodMs: number, act: () => void): () => void {
    let cancel = (): void => undefined;
    const again = (): void => {
      act();
      cancel = this.time.at(periodMs, again);
    };
    cancel = this.time.at(periodMs, again);
    return () => {
      cancel();
    };
  }

  async stopAll(): Promise<void> {
    for (const node of this.nodes) if (node.isRunning) await node.stop();
  }

  #describe(): string {
    return this.nodes
      .filter((node) => node.isRunning)
      .map((node) => {
        const peers = node.daemon.control.peers().peers.filter((peer) => !peer.self);
        const rows = peers.map((peer) => `  ${peer.nickname} ${peer.state} ${peer.reason ?? ''}`);
        const contacts = node.daemon.control
          .status()
          .contacts.map(
            (contact) => `  ${contact.contact} ${contact.state} ${contact.reason ?? ''}`,
          );
        return [node.name, ...rows, ...contacts].join('\n');
      })
      .join('\n');
  }
}

export class SimNode {
  readonly name: string;
  readonly state: MemoryState;
  readonly events: EventDocument[] = [];
  /** Frames of peers its TAP got. */
  readonly frames: Uint8Array[] = [];
  /** Frames its TAP got from this host itself: questions for listeners, answers for hosts behind peers. */
  readonly written: Uint8Array[] = [];
  /** The same as network and text. */
  readonly heardFrames: string[] = [];
  readonly host: SimHost;
  readonly machine: MachineTime;
  readonly #sim: Sim;
  readonly #settings: NodeSettings;
  #underlay: readonly string[];
  #daemon: Daemon | undefined;
  #plane: FakeDataPlane | undefined;
  #process: SimProcess | undefined;
  #onNetworkChange: (() => void) | undefined;
  #isToldOfMoves = true;

  constructor(sim: Sim, name: string, number: number, settings: NodeSettings) {
    this.#sim = sim;
    this.name = name;
    this.#settings = settings;
    this.#underlay = settings.underlay ?? [`192.0.2.${number}`];
    this.state = new MemoryState(
      settings.identityOf?.state.identity ?? generateIdentity(sim.rng),
      sim.rng,
    );
    this.host = new SimHost(sim, this);
    this.machine = new MachineTime(sim.time);
  }

  get id(): PeerId {
    return this.state.identity.id;
  }

  get address(): string {
    return this.#underlay[0] ?? '';
  }

  get daemon(): Daemon {
    assert.ok(this.#daemon, `${this.name} does not run`);
    return this.#daemon;
  }

  get plane(): FakeDataPlane {
    assert.ok(this.#plane, `${this.name} does not run`);
    return this.#plane;
  }

  get isRunning(): boolean {
    return this.#daemon !== undefined;
  }

  async start(more: Partial<DaemonOptions> = {}): Promise<void> {
    const sim = this.#sim;
    this.#plane = new FakeDataPlane({
      network: sim.network,
      addresses: this.#underlay,
      secret: sim.rng.bytes(16),
      scheduler: this.machine,
    });
    const { onTables } = this.#settings;
    if (onTables) {
      const apply = this.#plane.apply.bind(this.#plane);
      this.#plane.apply = (batch) => {
        onTables(batch);
        apply(batch);
      };
    }
    this.#process = new SimProcess(sim, this.machine);
    this.#plane.onFrame((frame, peer, network) => {
      if (peer === 0) {
        this.written.push(frame);
        return;
      }
      this.frames.push(frame);
      const text = Buffer.from(frame.subarray(14)).toString().replace(/\0+$/, '');
      this.heardFrames.push(`${network} ${text}`);
    });
    const password = this.#settings.password ?? 'secret';
    this.#daemon = createDaemon(
      {
        dataplane: this.#plane,
        host: this.host,
        state: this.state,
        clock: sim.time,
        timers: this.#process,
        rng: sim.rng,
        resolver: this.#process,
        network: {
          watch: (_ignored, onChange) => {
            this.#onNetworkChange = onChange;
            return () => (this.#onNetworkChange = undefined);
          },
        },
        localAddresses: () => this.#underlay,
        rooms: this.#settings.rooms?.(this) ?? [],
        ...(this.#settings.receiveLoad && { receiveLoad: this.#settings.receiveLoad }),
        log: SILENT,
        records: sim.records.of,
        ...(this.#settings.isCounted && { linkCrypto: sim.handshakes.of }),
      },
      {
        meshName: 'default',
        nickname: this.name,
        passwordPrs: new Uint8Array(createHash('sha256').update(password).digest()),
        port: PORT,
        peers: this.#settings.peers ?? [],
        addressMode: 'auto',
        pool: POOL,
        ifName: 'overlay0',
        mtuBytes: 1388,
        bind: [],
        advertise: [],
        suites: [2, 1, 4],
        discovery: true,
        relay: true,
        version: '0.0.0-sim',
        ...this.#settings.options,
        ...more,
      },
    );
    this.#daemon.control.onEvent((event) => {
      this.events.push(event);
      // A daemon goes on without the entry; here it is the fault that is looked for.
      const isFault = event.code === 'dataplane-refused' && !this.#settings.mayBeRefused;
      if (isFault) throw new Error(`${this.name}: ${event.message}`);
    });
    this.#daemon.onFatal((error) => {
      throw error;
    });
    this.#daemon.onCloned(() => {
      void this.stop().then(() => this.start(more));
    });
    await this.#daemon.start();
  }

  /** SIGTERM. */
  async stop(): Promise<void> {
    const daemon = this.daemon;
    this.#daemon = undefined;
    this.#plane = undefined;
    await daemon.stop();
  }

  /** kill -9: nothing is said, nothing is cleaned up. */
  kill(): void {
    this.plane.close();
    this.#onNetworkChange = undefined;
    this.#process?.kill();
    this.state.loseWaiting();
    this.#daemon = undefined;
    this.#plane = undefined;
  }

  /** Its machine gets other underlay addresses. */
  moveTo(...underlay: string[]): void {
    this.#underlay = underlay;
    this.#plane?.moveTo(underlay);
    if (this.#isToldOfMoves) this.#onNetworkChange?.();
  }

  /** Its machine sleeps: nothing runs, nothing arrives. @returns wake up */
  suspend(): () => void {
    const { network } = this.#sim;
    const { address } = this;
    this.machine.suspend();
    network.isolate(address, true);
    return () => {
      network.isolate(address, false);
      this.machine.resume();
    };
  }

  /** Whether the kernel tells the daemon when its addresses change; default yes. */
  set isToldOfMoves(isTold: boolean) {
    this.#isToldOfMoves = isTold;
  }

  sees(other: SimNode): boolean {
    return this.peerRow(other)?.state === 'established';
  }

  peerRow(other: SimNode) {
    return this.daemon.control.peers().peers.find((peer) => peer.id === other.id);
  }

  codes(): string[] {
    return this.events.map((event) => event.code);
  }

  /** An Ethernet frame from this bridge to the other's, marked with `text`. */
  say(other: SimNode, text: string, bytes = 100): void {
    const frame = new Uint8Array(Math.max(bytes, 14 + text.length));
    frame.set(macBytes(macOfPeer(other.id)), 0);
    frame.set(macBytes(macOfPeer(this.id)), 6);
    frame.set([0x88, 0xb5], 12);
    frame.set(new TextEncoder().encode(text), 14);
    this.plane.injectFrame(frame);
  }

  heard(text: string): boolean {
    return this.frames.some((frame) => Buffer.from(frame.subarray(14)).toString().startsWith(text));
  }
}

/** What dies with a process: its timers and the answers it waits for. */
class SimProcess implements Timers, Resolver {
  readonly #sim: Sim;
  readonly #machine: MachineTime;
  readonly #cancels = new Set<() => void>();
  #isDead = false;

  constructor(sim: Sim, machine: MachineTime) {
    this.#sim = sim;
    this.#machine = machine;
  }

  set(delayMs: number, callback: () => void): () => void {
    const cancel = this.#machine.at(delayMs, () => {
      this.#cancels.delete(cancel);
      callback();
    });
    this.#cancels.add(cancel);
    return () => {
      this.#cancels.delete(cancel);
      cancel();
    };
  }

  async resolve(name: string): Promise<readonly string[]> {
    const addresses = await Promise.resolve(this.#sim.names.get(name) ?? []);
    return this.#isDead ? new Promise(() => undefined) : addresses;
  }

  kill(): void {
    this.#isDead = true;
    for (const cancel of this.#cancels) cancel();
  }
}

/** The host side: remembers addresses, and defends them against probes of others it is linked with. */
export class SimHost implements HostInterface {
  readonly #sim: Sim;
  readonly #node: SimNode;
  addresses: readonly string[] = [];
  isUp = false;
  /** Thrown by `up`. */
  refuse: Error | undefined;
  /** MACs of machines behind the mesh that are no nodes, by address. */
  static readonly strangers = new Map<string, Mac>();

  constructor(sim: Sim, node: SimNode) {
    this.#sim = sim;
    this.#node = node;
  }

  preflight(): Promise<void> {
    return Promise.resolve();
  }

  up(): Promise<void> {
    if (this.refuse) return Promise.reject(this.refuse);
    this.isUp = true;
    return Promise.resolve();
  }

  setAddresses(cidrs: readonly string[]): Promise<void> {
    this.addresses = cidrs;
    return Promise.resolve();
  }

  probeAddress(address: string): Promise<Mac | undefined> {
    for (const other of this.#sim.nodes) {
      if (other === this.#node || !other.isRunning) continue;
      const isThere = other.host.addresses.some((cidr) => cidr.split('/')[0] === address);
      if (isThere && other.sees(this.#node)) return Promise.resolve(macOfPeer(other.id));
    }
    return Promise.resolve(SimHost.strangers.get(address));
  }

  warnings(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  down(): Promise<void> {
    this.isUp = false;
    this.addresses = [];
    return Promise.resolve();
  }
}

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Two daemons that know nothing but the one contact, linked. */
export async function twoLinkedNodes(seed = 1): Promise<{ sim: Sim; a: SimNode; b: SimNode }> {
  const sim = await Sim.create(seed);
  const a = sim.node('a');
  const b = sim.node('b', { peers: [a.address] });
  await a.start();
  await b.start();
  await sim.until('both see each other', () => a.sees(b) && b.sees(a), 1000);
  return { sim, a, b };
}
