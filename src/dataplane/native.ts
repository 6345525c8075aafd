import { createRequire } from 'node:module';
import { OverlayError, type ErrorCode } from '../base/errors.js';
import type { OsModule } from '../daemon/os-port.js';
import {
  endpointFromBytes,
  endpointToBytes,
  makeEndpoint,
  type Endpoint,
} from '../model/endpoint.js';
import { addressBytes, parseAddress } from '../model/cidr.js';
import { macBytes, macFromBytes } from '../model/mac.js';
import {
  formatPathAddress,
  pathAddressFromBytes,
  pathAddressToBytes,
  type PathAddress,
} from '../model/path-address.js';
import { peerIdBytes } from '../model/peer-id.js';
import type {
  Counters,
  DataPlane,
  DataPlaneConfig,
  DataPlaneEvent,
  DataPlaneInfo,
  FdbEntry,
  NetworkConfig,
  SendItem,
  TableEntry,
} from './dataplane.js';

/*
 * The data plane of the addon. The only file that knows the addon: it turns endpoints and MACs into bytes and back, and
 * failures into coded errors; everything else passes through.
 */

/** What the addon exports: see native/binding. */
interface Addon {
  readonly DataPlane: new () => AddonDataPlane;
  readonly os: OsModule;
}

interface AddonDataPlane {
  onReadable(callback: () => void): void;
  open(config: object): AddonOpened | AddonOpenFailure;
  /** Null on success, like the next one. */
  reopenTap(): AddonOpenFailure | null;
  openNetwork(config: object): AddonOpenFailure | null;
  closeNetwork(network: number): void;
  apply(batch: readonly object[]): Refusal | null;
  send(batch: readonly object[]): void;
  drain(): Record<string, unknown>[];
  readCounters(): Counters;
  dumpFdb(): (Omit<FdbEntry, 'mac'> & { readonly mac: Uint8Array })[];
  close(): void;
}

/** Which entry of a batch cannot be applied, and why: nothing of it was. */
interface Refusal {
  readonly index: number;
  readonly reason: string;
}

interface AddonOpened extends Omit<DataPlaneInfo, 'localAddresses'> {
  readonly localAddresses: readonly Uint8Array[];
}

interface AddonOpenFailure {
  readonly code: ErrorCode;
  readonly step: string;
  readonly errno: number;
  readonly reason: string;
  readonly what: string;
}

/** Cures by code; the ones that depend on errno are in `openError`. */
const OPEN_CURES: Partial<Record<ErrorCode, string>> = {
  OVL_TAP_OPEN: 'Load the tun module (modprobe tun) and see that /dev/net/tun exists.',
  OVL_UDP_BIND: 'Stop what uses the port, or choose another with --port or --bind.',
  OVL_USAGE: 'Allow another cipher with --cipher.',
};

const EPERM = 1;
const EACCES = 13;
const EBUSY = 16;

let loaded: Addon | undefined;

/** @throws OverlayError OVL_ADDON_MISSING */
function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  const path = new URL('../../../build/Release/overlayd.node', import.meta.url).pathname;
  try {
    loaded = createRequire(import.meta.url)(path) as Addon;
    return loaded;
  } catch (cause) {
    throw new OverlayError('OVL_ADDON_MISSING', `Cannot load the native data plane ${path}`, {
      cure: 'Build it with scripts/setup.sh.',
      value: path,
      cause,
    });
  }
}

function openError(failure: AddonOpenFailure): OverlayError {
  const isDenied = failure.errno === EPERM || failure.errno === EACCES;
  const code = isDenied ? 'OVL_NOT_PERMITTED' : failure.code;
  const cure = isDenied
    ? 'Run as root, or with CAP_NET_ADMIN and CAP_NET_RAW.'
    : failure.code === 'OVL_TAP_OPEN' && failure.errno === EBUSY
      ? 'Another process holds it: stop that, or choose another --ifname.'
      : (OPEN_CURES[failure.code] ?? 'See docs/operations.md.');
  const reason = failure.reason === '' ? '' : `: ${failure.reason}`;
  return new OverlayError(code, `Cannot ${failure.step} for ${failure.what}${reason}`, {
    cure,
    value: failure.what,
    fields: { errno: failure.errno, step: failure.step },
  });
}

function toAddonPrefix(cidr: string): object {
  const slash = cidr.lastIndexOf('/');
  const base = makeEndpoint(cidr.slice(0, slash), 0);
  if (!base) throw new Error(`${cidr} is no prefix`);
  return { base: endpointToBytes(base), bits: Number(cidr.slice(slash + 1)) };
}

const NOBODY = new Uint8Array(16);

function ipBytes(text: string): Uint8Array {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is no address`);
  return addressBytes(address);
}

function toAddonEntry(entry: TableEntry): object {
  switch (entry.kind) {
    case 'pathSet':
      return { ...entry, endpoint: pathAddressToBytes(entry.address) };
    case 'peerSet':
      return { ...entry, id: peerIdBytes(entry.id) };
    case 'treeSet':
      return { ...entry, origin: entry.origin ? peerIdBytes(entry.origin) : NOBODY };
    case 'neighbourSet':
      return { ...entry, mac: macBytes(entry.mac), address: ipBytes(entry.address) };
    case 'neighbourRemove':
      return { ...entry, address: ipBytes(entry.address) };
    case 'fdbSet':
    case 'fdbRemove':
    case 'groupSet':
    case 'groupRemove':
      return { ...entry, mac: macBytes(entry.mac) };
    default:
      return entry;
  }
}

function toAddonItem(item: SendItem): object {
  switch (item.kind) {
    case 'datagram':
    case 'keepalive':
      return { ...item, to: pathAddressToBytes(item.to) };
    case 'returnToken':
      return { ...item, from: pathAddressToBytes(item.from) };
    case 'tcpConnect':
      return { ...item, to: endpointToBytes(item.to) };
    default:
      return item;
  }
}

function endpointOf(bytes: unknown): Endpoint {
  const endpoint = endpointFromBytes(bytes as Uint8Array);
  if (endpoint === undefined) throw new Error('The addon handed over a malformed endpoint');
  return endpoint;
}

function addressOf(bytes: unknown): PathAddress {
  const address = pathAddressFromBytes(bytes as Uint8Array);
  if (address === undefined) throw new Error('The addon handed over a malformed address');
  return address;
}

/** Endpoints, addresses and MACs come as bytes; all other fields are as dataplane.ts has them. */
function toEvent(raw: Record<string, unknown>): DataPlaneEvent {
  if (raw['from'] !== undefined) raw['from'] = addressOf(raw['from']);
  if (raw['endpoint'] !== undefined) raw['endpoint'] = endpointOf(raw['endpoint']);
  if (raw['mac'] !== undefined) raw['mac'] = macFromBytes(raw['mac'] as Uint8Array);
  return raw as unknown as DataPlaneEvent;
}

/** What the data plane can do without: UDP_SEGMENT, UDP_GRO, UDP super-frames of the TAP, all offloads of the TAP. */
export const OFFLOADS = ['gso', 'gro', 'uso', 'vnet_hdr'] as const;
export type Offload = (typeof OFFLOADS)[number];

export interface NativeOptions {
  /** 'libsodium': leave faster providers aside, to compare or when one is distrusted. */
  readonly provider?: 'fastest' | 'libsodium';
  /** Leave these aside although the kernel has them: runs the fall-back for machines that do not. */
  readonly without?: readonly Offload[];
}

class NativeDataPlane implements DataPlane {
  readonly #native: AddonDataPlane;
  readonly #provider: string;
  readonly #without: readonly Offload[];
  #callback: (() => void) | undefined;
  /** The one wake-up came before anybody listened: frames arrive as soon as `open` has returned. */
  #isWakeHeld = false;

  constructor(options: NativeOptions) {
    this.#native = new (loadAddon().DataPlane)();
    this.#provider = options.provider ?? 'fastest';
    this.#without = options.without ?? [];
    this.#native.onReadable(() => {
      if (this.#callback === undefined) this.#isWakeHeld = true;
      else this.#callback();
    });
  }

  open(config: DataPlaneConfig): DataPlaneInfo {
    const opened = this.#native.open({
      ...config,
      ownMacs: config.ownMacs.map((mac) => ({ mac: macBytes(mac) })),
      overlayPrefixes: (config.overlayPrefixes ?? []).map(toAddonPrefix),
      provider: this.#provider,
      without: this.#without,
    });
    if ('code' in opened) throw openError(opened);
    return { ...opened, localAddresses: opened.localAddresses.map(endpointOf) };
  }

  reopenTap(): void {
    const failure = this.#native.reopenTap();
    if (failure !== null) throw openError(failure);
  }

  openNetwork(config: NetworkConfig): void {
    const failure = this.#native.openNetwork({
      ...config,
      ownMacs: config.ownMacs.map((mac) => ({ mac: macBytes(mac) })),
    });
    if (failure !== null) throw openError(failure);
  }

  closeNetwork(network: number): void {
    this.#native.closeNetwork(network);
  }

  onReadable(callback: () => void): void {
    this.#callback = callback;
    if (!this.#isWakeHeld) return;
    this.#isWakeHeld = false;
    queueMicrotask(callback);
  }

  apply(batch: readonly TableEntry[]): void {
    const refused = this.#refusedOf(batch);
    if (refused === null) return;
    const entry = batch[refused.index];
    const what =
      entry?.kind === 'pathSet'
        ? `pathSet ${formatPathAddress(entry.address)}`
        : (entry?.kind ?? '');
    throw new OverlayError('OVL_BATCH_REFUSED', `Cannot apply ${what}: ${refused.reason}`, {
      cure: 'This is a fault of overlayd: please report it with `overlayctl report`.',
      value: what,
      fields: { index: refused.index },
    });
  }

  #refusedOf(batch: readonly TableEntry[]): Refusal | null {
    const entries: object[] = [];
    for (const [index, entry] of batch.entries()) {
      try {
        entries.push(toAddonEntry(entry));
      } catch (error) {
        return { index, reason: error instanceof Error ? error.message : String(error) };
      }
    }
    return this.#native.apply(entries);
  }

  send(batch: readonly SendItem[]): void {
    this.#native.send(batch.map(toAddonItem));
  }

  drain(): readonly DataPlaneEvent[] {
    return this.#native.drain().map(toEvent);
  }

  readCounters(): Counters {
    return this.#native.readCounters();
  }

  dumpFdb(): readonly FdbEntry[] {
    return this.#native.dumpFdb().map((entry) => ({ ...entry, mac: macFromBytes(entry.mac) }));
  }

  close(): void {
    this.#native.close();
  }
}

/** @throws OverlayError OVL_ADDON_MISSING */
export function createNativeDataPlane(options: NativeOptions = {}): DataPlane {
  return new NativeDataPlane(options);
}

/** What Node cannot do itself. @throws OverlayError OVL_ADDON_MISSING */
export function nativeOs(): OsModule {
  return loadAddon().os;
}
