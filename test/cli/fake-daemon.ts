import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  BenchPlaceDocument,
  BenchWish,
  DaemonControl,
  EventDocument,
  ExposeBody,
  NetworkBody,
  NetworkDocument,
  PeerDocument,
  StatusDocument,
} from '../../src/api/control.js';
import { findPeer } from '../../src/api/find-peer.js';
import type { ApiLog, ApiServer } from '../../src/api/server.js';
import { startApiServer } from '../../src/api/server.js';
import { OverlayError } from '../../src/base/errors.js';
import type { AttachmentReport, AttachRequest } from '../../src/model/attachment.js';
import type { PeerId } from '../../src/model/peer-id.js';

export const ALPHA_ID = '3f2a9c10d4e5f60718293a4b5c6d7e8f';
export const BETA_ID = '91be77aa00112233445566778899aabb';
export const GAMMA_ID = '91be77aaffeeddccbbaa998877665544';

export const quietLog: ApiLog = { info: () => {}, error: () => {} };

/** A daemon that answers from plain fields; tests change them, also while a command runs. */
export class FakeDaemon implements DaemonControl {
  statusDocument: StatusDocument = twoNodeStatus();
  peerDocuments: PeerDocument[] = [
    peer(ALPHA_ID, 'alpha', { self: true, path: null, endpoint: null, cipher: null, rttMs: null }),
    peer(BETA_ID, 'beta', {}),
  ];
  eventDocuments: EventDocument[] = [event(1, 'daemon-ready'), event(2, 'peer-established')];
  readonly stored: string[] = [];
  attachmentDocuments: AttachmentReport[] = [];
  readonly attachBodies: AttachRequest[] = [];
  resets = 0;
  readonly #listeners = new Set<(event: EventDocument) => void>();

  get listenerCount(): number {
    return this.#listeners.size;
  }

  emit(document: EventDocument): void {
    this.eventDocuments.push(document);
    for (const listener of this.#listeners) listener(document);
  }

  readonly exposeBodies: ExposeBody[] = [];

  async expose(body: ExposeBody): ReturnType<DaemonControl['expose']> {
    this.exposeBodies.push(body);
    return Promise.resolve({ addresses: body.addresses });
  }

  async hide(addresses: readonly string[]): ReturnType<DaemonControl['hide']> {
    return Promise.resolve({ addresses });
  }

  /** Names and their addresses. */
  readonly names = new Map<string, readonly string[]>();

  reserved: string[] = [];

  ipam(): ReturnType<DaemonControl['ipam']> {
    const holder = { id: ALPHA_ID, nickname: 'alpha', self: true, gone: false, waitingFor: [] };
    const pool = { range: '10.32.0.0/12', network: 'default', id: '05'.repeat(16), titles: 1 };
    return {
      schema: 1,
      pools: [{ ...pool, holders: [{ ...holder, addresses: 1_048_576, blocks: 1 }] }],
      used: [{ address: '10.32.0.5', network: 'default', owner: 'web', active: true }],
      reserved: this.reserved,
      clashes: [],
    };
  }

  reserveAddress(address: string, except: readonly string[]): Promise<void> {
    this.reserved.push([address, ...except].join(' but '));
    return Promise.resolve();
  }

  releaseAddress(address: string): Promise<void> {
    this.reserved = this.reserved.filter((other) => other !== address);
    return Promise.resolve();
  }

  addPool(range: string): Promise<void> {
    const cure = 'Choose a range beside it.';
    const message = `${range} overlaps the pool 10.32.0.0/12`;
    return Promise.reject(new OverlayError('OVL_ADDRESS_INVALID', message, { value: range, cure }));
  }

  networkDocuments: NetworkDocument[] = [
    {
      ...{ name: 'default', id: 0, subnets: ['10.32.0.0/12'], mtu: 1388, ifname: 'overlay0' },
      ...{ targets: [], peers: [{ id: BETA_ID, nickname: 'beta' }] },
    },
  ];

  networks(): ReturnType<DaemonControl['networks']> {
    return { schema: 1, networks: this.networkDocuments };
  }

  createNetwork({ name, subnets = [], mtu = 1388 }: NetworkBody): Promise<NetworkDocument> {
    const network = { name, id: 7, subnets, mtu, ifname: null, targets: ['web'], peers: [] };
    this.networkDocuments.push(network);
    return Promise.resolve(network);
  }

  removeNetwork(name: string): Promise<void> {
    this.networkDocuments = this.networkDocuments.filter((network) => network.name !== name);
    return Promise.resolve();
  }

  removedPools: string[] = [];

  removePool(range: string): Promise<void> {
    this.removedPools.push(range);
    return Promise.resolve();
  }

  dnsNames(): ReturnType<DaemonControl['dnsNames']> {
    const names = [...this.names].map(([name, addresses]) => ({
      ...{ name: `${name}.overlay.internal`, network: 'default', addresses },
      peers: [ALPHA_ID],
    }));
    return {
      schema: 1,
      domain: 'overlay.internal',
      servers: ['169.254.7.9'],
      upstreams: [],
      names,
    };
  }

  dnsLookup(name: string): ReturnType<DaemonControl['dnsLookup']> {
    const answers = this.names.get(name);
    if (answers) return { schema: 1, answers };
    throw new OverlayError('OVL_NOT_FOUND', `Nobody is called '${name}'`, {
      value: name,
      cure: 'Look at the list.',
    });
  }

  async dnsAdd(name: string, addresses: readonly string[]): ReturnType<DaemonControl['dnsAdd']> {
    this.names.set(name, addresses);
    return Promise.resolve({ addresses });
  }

  async dnsRemove(name: string): ReturnType<DaemonControl['dnsRemove']> {
    const addresses = this.names.get(name) ?? [];
    this.names.delete(name);
    return Promise.resolve({ addresses });
  }

  status(): StatusDocument {
    return this.statusDocument;
  }

  peers(): ReturnType<DaemonControl['peers']> {
    return { schema: 1, peers: this.peerDocuments };
  }

  routes(): ReturnType<DaemonControl['routes']> {
    return {
      schema: 1,
      routes: [
        {
          peer: BETA_ID,
          nickname: 'beta',
          path: 'direct',
          via: [],
          rttMs: 0.31,
          lossPct: 0,
          mtu: 1472,
          cost: 0.42,
        },
      ],
    };
  }

  paths(text: string): ReturnType<DaemonControl['paths']> {
    const found = findPeer(
      this.peerDocuments.map(({ id, nickname }) => ({ id: id as PeerId, nickname })),
      text,
    );
    return {
      schema: 1,
      peer: found.id,
      nickname: found.nickname,
      active: 0,
      candidates: [
        {
          kind: 'direct',
          endpoint: '192.0.2.2:6783',
          state: 'working',
          rttMs: 0.31,
          lossPct: 0,
          mtu: 1472,
          cost: 0.42,
          terms: { srttMs: 0.3, rttvarMs: 0.06 },
        },
      ],
      lastSwitch: null,
    };
  }

  report(): ReturnType<DaemonControl['report']> {
    return {
      schema: 1,
      at: '2026-01-02T03:04:05.000Z',
      status: this.statusDocument,
      peers: this.peerDocuments,
      routes: this.routes().routes,
      paths: [this.paths('beta')],
      dataplane: {
        port: 6783,
        localAddresses: ['0.0.0.0:6783', '[::]:6783'],
        suites: [{ name: 'aes256gcm', provider: 'ipsec-mb', nsPerPacket: 150 }],
        offloads: ['vnet_hdr', 'tso'],
        queuePairs: 1,
      },
      counters: { tx_frames: 12, rx_frames: 0 },
      drops: { no_peer: 3, replay: 0 },
      fdb: [
        { network: 0, mac: '02:00:00:00:00:02', peer: BETA_ID, declared: false, ageSeconds: 4 },
      ],
      events: this.eventDocuments,
    };
  }

  async connect(contacts: readonly string[]): ReturnType<DaemonControl['connect']> {
    const normal = contacts.map((contact) => {
      if (!contact.includes('!')) return contact.includes(':') ? contact : `${contact}:6783`;
      throw new OverlayError('OVL_ENDPOINT_INVALID', `'${contact}' is not an endpoint`, {
        value: contact,
        cure: 'Give host[:port] or [v6]:port.',
      });
    });
    this.stored.push(...normal);
    return { contacts: normal };
  }

  async forget(contacts: readonly string[]): ReturnType<DaemonControl['forget']> {
    return {
      removed: contacts.filter((contact) => this.stored.includes(contact)),
      unknown: contacts.filter((contact) => !this.stored.includes(contact)),
    };
  }

  readonly removals: { readonly peer: string; readonly isForced: boolean }[] = [];

  /** Beta is alive; all else is removed. */
  async removePeer(text: string, isForced: boolean): ReturnType<DaemonControl['removePeer']> {
    this.removals.push({ peer: text, isForced });
    const { peer, nickname } = this.paths(text);
    if (peer !== BETA_ID || isForced) {
      return { peer, nickname, state: peer === BETA_ID ? 'waiting' : 'removed' };
    }
    throw new OverlayError('OVL_PEER_ALIVE', `Peer ${nickname} is alive`, {
      value: text,
      cure: 'Stop it.',
    });
  }

  attachments(): ReturnType<DaemonControl['attachments']> {
    return { schema: 1, attachments: this.attachmentDocuments };
  }

  async attach(body: AttachRequest): ReturnType<DaemonControl['attach']> {
    this.attachBodies.push(body);
    if (body.addresses.length > 0) return { addresses: body.addresses };
    throw new OverlayError('OVL_ADDRESS_UNAVAILABLE', 'No address is given', {
      cure: 'Name one, like 192.168.0.2/24.',
    });
  }

  async detach(target: string, addresses: readonly string[]): ReturnType<DaemonControl['detach']> {
    const known = this.attachmentDocuments.find((document) => document.target === target);
    if (known === undefined) return { addresses: [] };
    return { addresses: addresses.length === 0 ? known.addresses : addresses };
  }

  benchPlace: BenchPlaceDocument | undefined;
  readonly benchWishes: (BenchWish & { readonly peer: string })[] = [];

  async bench(text: string, wish: BenchWish): ReturnType<DaemonControl['bench']> {
    this.benchWishes.push({ peer: text, ...wish });
    this.paths(text);
    if (this.benchPlace !== undefined) return { ...this.benchPlace, ...wish };
    throw new OverlayError('OVL_BENCH_REFUSED', `${text} does not allow measurements`, {
      value: text,
      cure: 'Its operator starts it with --allow-bench.',
    });
  }

  events(afterSeq: number): readonly EventDocument[] {
    return this.eventDocuments.filter(({ seq }) => seq > afterSeq);
  }

  onEvent(callback: (event: EventDocument) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  async reset(): Promise<void> {
    this.resets += 1;
  }
}

export function twoNodeStatus(): StatusDocument {
  return {
    schema: 1,
    ready: true,
    self: {
      id: ALPHA_ID,
      nickname: 'alpha',
      addresses: ['10.47.0.9/12', 'fd12:3456:789a:bcde::1/64'],
      mac: '3e:2a:9c:10:d4:e5',
      ifname: 'overlay0',
      mtu: 1388,
      port: 6783,
      pid: 4711,
      version: '0.1.0',
    },
    mesh: 'default',
    encryption: true,
    peers: { known: 2, reachable: 2 },
    links: { established: 1, connecting: 0, handshaking: 0, idle: 0, retrying: 0, rejected: 0 },
    contacts: [{ contact: '192.0.2.2:6783', state: 'established', peer: BETA_ID, reason: null }],
    warnings: [],
  };
}

export function peer(id: string, nickname: string, changes: Partial<PeerDocument>): PeerDocument {
  return {
    id,
    nickname,
    self: false,
    state: 'established',
    path: 'direct',
    endpoint: '192.0.2.2:6783',
    addresses: ['10.47.0.10/12'],
    cipher: 'aes256gcm',
    rttMs: 0.31,
    lossPct: 0,
    pmtu: 1472,
    reason: null,
    txBytes: 1_234_567,
    rxBytes: 987,
    ...changes,
  };
}

export function event(
  seq: number,
  code: EventDocument['code'],
  changes: Partial<EventDocument> = {},
): EventDocument {
  return {
    seq,
    at: '2026-01-02T03:04:05.000Z',
    level: 'info',
    code,
    message: `Event ${seq}`,
    ...changes,
  };
}

/** A directory of its own for each test, with a socket path in it. */
export class Sandbox {
  readonly directory = mkdtempSync(join(tmpdir(), 'overlayd-test-'));
  readonly socket = join(this.directory, 'run', 'overlayd.sock');
  readonly daemon = new FakeDaemon();
  #server: ApiServer | undefined;

  async start(log: ApiLog = quietLog): Promise<void> {
    this.#server = await startApiServer(this.socket, this.daemon, log);
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
