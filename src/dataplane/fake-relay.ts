import type { LabelCounters, PeerSlot, TableEntry } from './dataplane.js';
import type { FakeDatagram } from './fake-network.js';
import type { Sealed } from './fake-sessions.js';

/*
 * Labels of the fake, as dataplane.ts and docs/protocol.md §7 have them:
 *
 *   arrive ── label known? source is its peer? ttl? ──> ends here: from the relayed address `label`
 *                                                  └──> goes on to the other label's peer under its `outLabel`
 *
 * The token bucket per label is left out.
 */

/** What the underlay of a simulation carries. */
export type FakePayload = Uint8Array | Sealed | FakeRelayed;

export interface FakeRelayed {
  readonly ttl: number;
  readonly label: number;
  readonly inner: Uint8Array | Sealed;
  /** A wire further on swallowed it for its size: stands for the receiver reports that would tell its sender. */
  readonly onSwallowed: () => void;
}

type FakeRelayVerdict =
  | { readonly kind: 'end'; readonly label: number; readonly payload: Uint8Array | Sealed }
  | { readonly kind: 'forward'; readonly peer: PeerSlot; readonly relayed: FakeRelayed }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'drop'; readonly reason: string };

interface Label {
  readonly entry: Extract<TableEntry, { kind: 'labelSet' }>;
  datagrams: bigint;
  bytes: bigint;
}

const FIRST_TTL = 4;
export const RELAY_HEADER_BYTES = 8;

export function isRelayed(payload: FakePayload): payload is FakeRelayed {
  return 'ttl' in payload;
}

export class FakeLabels {
  readonly #labels = new Map<number, Label>();

  /** Setting it again keeps what it counted. */
  set(entry: Extract<TableEntry, { kind: 'labelSet' }>): void {
    const { datagrams = 0n, bytes = 0n } = this.#labels.get(entry.label) ?? {};
    this.#labels.set(entry.label, { entry, datagrams, bytes });
  }

  remove(label: number): void {
    this.#labels.delete(label);
  }

  clear(): void {
    this.#labels.clear();
  }

  has(label: number): boolean {
    return this.#labels.has(label);
  }

  /** `isFrom`: the datagram came from an address of that peer. */
  receive(
    relayed: FakeRelayed,
    bytes: number,
    isFrom: (peer: PeerSlot) => boolean,
  ): FakeRelayVerdict {
    const label = this.#labels.get(relayed.label);
    if (!label) return { kind: 'unknown' };
    if (!isFrom(label.entry.peer)) return { kind: 'drop', reason: 'relay_source' };
    label.datagrams += 1n;
    label.bytes += BigInt(bytes);
    const { forward } = label.entry;
    if (forward === 0) return { kind: 'end', label: relayed.label, payload: relayed.inner };
    const next = this.#labels.get(forward)?.entry;
    if (!next || next.outLabel === 0) return { kind: 'drop', reason: 'relay_unknown' };
    const ttl = Math.min(relayed.ttl, FIRST_TTL) - 1;
    if (ttl <= 0) return { kind: 'drop', reason: 'relay_ttl' };
    const goesOn = { ...relayed, ttl, label: next.outLabel };
    return { kind: 'forward', peer: next.peer, relayed: goesOn };
  }

  /** For the address `relay:label`. Undefined: unknown, or our neighbour's label is. */
  wrap(
    label: number,
    datagram: FakeDatagram<Uint8Array | Sealed>,
    onSwallowed: () => void,
  ): { readonly peer: PeerSlot; readonly datagram: FakeDatagram<FakeRelayed> } | undefined {
    const entry = this.#labels.get(label)?.entry;
    if (!entry || entry.outLabel === 0) return undefined;
    const inner = datagram.payload;
    const payload = { ttl: FIRST_TTL, label: entry.outLabel, inner, onSwallowed };
    return {
      peer: entry.peer,
      datagram: { bytes: datagram.bytes + RELAY_HEADER_BYTES, payload },
    };
  }

  counters(): readonly LabelCounters[] {
    return [...this.#labels].map(([label, { datagrams, bytes }]) => ({ label, datagrams, bytes }));
  }
}
