import { TokenBucket } from '../base/token-bucket.js';
import type { PeerSlot, TableEntry } from '../dataplane/dataplane.js';
import type { Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import { MAX_MAC_SEQUENCE } from '../wire/mac-record.js';
import {
  CLAIM_BURST,
  CLAIMS_PER_SECOND,
  MAX_CLAIMS,
  MAX_CLAIMS_PER_PEER,
  MAX_OWN_CLAIMS,
  MAX_PORTS,
  WITHDRAW_AFTER_MS,
} from './constants.js';

/*
 * Where the MACs are that moved, or were said to be somewhere: location records (docs/protocol.md §10).
 *
 *   a frame of X on our TAP, and X is a peer's  ──► we say X with a sequence one higher ──► all send X's frames here
 *   another says X with a higher one            ──► its frames go there; our record goes after 60 s
 *
 * The highest sequence has the MAC, of equal ones the smaller PeerId: all who hold the same records agree. So a move is
 * a move at once and for everybody, and learning has nothing to unlearn. What is ours is guarded: no peer may send from
 * it. Moves are told while the bucket lasts; a MAC that goes on jumping after that stays where it was said last.
 *
 * Who lists a MAC in its address records has it while nobody says where it is, and while no other lists it.
 */

export interface ClaimsOptions {
  readonly network: number;
  readonly selfId: PeerId;
  /** A node's own MAC: follows from its id and nobody else can have it. */
  readonly isReserved: (mac: Mac) => boolean;
}

interface OwnClaim {
  readonly sequence: number;
  /** Another has it since; undefined: it is here. */
  lostAtMs: number | undefined;
}

/** What became of a MAC that was seen here. */
export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly sequence: number; readonly withdrawn: readonly Mac[] }
  | { readonly kind: 'refused' }
  | { readonly kind: 'tooOften' };

export class MacClaims {
  readonly #options: ClaimsOptions;
  readonly #own = new Map<Mac, OwnClaim>();
  readonly #byPeer = new Map<PeerId, Map<Mac, number>>();
  readonly #byMac = new Map<Mac, Set<PeerId>>();
  readonly #listers = new Map<Mac, Set<PeerId>>();
  readonly #dirty = new Set<Mac>();
  #ports: ReadonlySet<Mac> = new Set();
  /** In the data plane's table: 0 is here. */
  readonly #applied = new Map<Mac, PeerSlot>();
  readonly #bucket = new TokenBucket(CLAIM_BURST, CLAIMS_PER_SECOND);

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** What an earlier run of ours said. */
  restoreOwn(mac: Mac, sequence: number): void {
    if (this.#own.size < MAX_OWN_CLAIMS) this.#own.set(mac, { sequence, lostAtMs: undefined });
    this.#dirty.add(mac);
  }

  /** MACs of this host's ports, all of them: whoever claims one elsewhere, it is here. */
  setPorts(macs: readonly Mac[]): void {
    const ports = new Set(macs.slice(0, MAX_PORTS));
    for (const mac of this.#ports) if (!ports.has(mac)) this.#dirty.add(mac);
    for (const mac of ports) if (!this.#ports.has(mac)) this.#dirty.add(mac);
    this.#ports = ports;
  }

  /** A member's record came, or went. */
  setClaim(peer: PeerId, mac: Mac, sequence: number | undefined): void {
    const claims = this.#byPeer.get(peer) ?? new Map<Mac, number>();
    this.#dirty.add(mac);
    if (sequence === undefined) {
      claims.delete(mac);
      if (claims.size === 0) this.#byPeer.delete(peer);
      const holders = this.#byMac.get(mac);
      holders?.delete(peer);
      if (holders?.size === 0) this.#byMac.delete(mac);
      return;
    }
    const isNew = !claims.has(mac);
    if (isNew && (claims.size >= MAX_CLAIMS_PER_PEER || this.#byMac.size >= MAX_CLAIMS)) return;
    claims.set(mac, sequence);
    this.#byPeer.set(peer, claims);
    const holders = this.#byMac.get(mac) ?? new Set();
    this.#byMac.set(mac, holders.add(peer));
  }

  /** A member's address records name it, or do not any more. */
  setListed(peer: PeerId, mac: Mac, isListed: boolean): void {
    const listers = this.#listers.get(mac) ?? new Set<PeerId>();
    if (isListed) {
      if (listers.size === 0 && this.#listers.size >= MAX_CLAIMS) return;
      this.#listers.set(mac, listers.add(peer));
    } else if (listers.delete(peer) && listers.size === 0) {
      this.#listers.delete(mac);
    }
    this.#dirty.add(mac);
  }

  /** It sent a frame here, and was another's. The record is to be written, and those that made room withdrawn. */
  onLocal(mac: Mac, nowMs: number): ClaimOutcome {
    if (this.#options.isReserved(mac)) return { kind: 'refused' };
    const own = this.#own.get(mac);
    const winner = this.#winnerOf(mac);
    if (own && winner === this.#options.selfId) return { kind: 'refused' };
    if (!this.#bucket.take(nowMs)) return { kind: 'tooOften' };
    let highest = own?.sequence ?? 0;
    for (const peer of this.#byMac.get(mac) ?? []) {
      highest = Math.max(highest, this.#byPeer.get(peer)?.get(mac) ?? 0);
    }
    const sequence = Math.min(highest + 1, MAX_MAC_SEQUENCE);
    this.#own.delete(mac);
    const withdrawn: Mac[] = [];
    for (const oldest of this.#own.keys()) {
      if (this.#own.size < MAX_OWN_CLAIMS) break;
      this.#own.delete(oldest);
      this.#dirty.add(oldest);
      withdrawn.push(oldest);
    }
    this.#own.set(mac, { sequence, lostAtMs: undefined });
    this.#dirty.add(mac);
    return { kind: 'claimed', sequence, withdrawn };
  }

  get nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { lostAtMs } of this.#own.values()) {
      if (lostAtMs !== undefined) next = Math.min(next, lostAtMs + WITHDRAW_AFTER_MS);
    }
    return next;
  }

  /** @returns MACs whose record of ours is to be withdrawn. */
  onDeadline(nowMs: number): Mac[] {
    const gone: Mac[] = [];
    for (const [mac, { lostAtMs }] of this.#own) {
      if (lostAtMs === undefined || nowMs < lostAtMs + WITHDRAW_AFTER_MS) continue;
      this.#own.delete(mac);
      gone.push(mac);
    }
    return gone;
  }

  /** What must change in the table. `slotOf`: undefined while nothing can be sent there. */
  update(slotOf: (peer: PeerId) => PeerSlot | undefined, nowMs: number): TableEntry[] {
    const { network, selfId } = this.#options;
    const entries: TableEntry[] = [];
    for (const mac of this.#dirty) {
      const winner = this.#winnerOf(mac);
      const own = this.#own.get(mac);
      if (own) own.lostAtMs = winner === selfId ? undefined : (own.lostAtMs ?? nowMs);
      const slot = winner === undefined ? undefined : winner === selfId ? 0 : slotOf(winner);
      const before = this.#applied.get(mac);
      if (slot === before) continue;
      if (slot === undefined) {
        this.#applied.delete(mac);
        entries.push({ kind: 'fdbRemove', network, mac });
      } else {
        this.#applied.set(mac, slot);
        entries.push({ kind: 'fdbSet', network, mac, peer: slot });
      }
    }
    this.#dirty.clear();
    return entries;
  }

  /** What takes all of it out of the table. */
  clear(): TableEntry[] {
    const { network } = this.#options;
    const entries = [...this.#applied.keys()].map((mac) => ({
      ...{ kind: 'fdbRemove' as const, network, mac },
    }));
    this.#applied.clear();
    return entries;
  }

  /** Peers came or went: all is looked at again. */
  touchAll(): void {
    for (const mac of this.#byMac.keys()) this.#dirty.add(mac);
    for (const mac of this.#listers.keys()) this.#dirty.add(mac);
  }

  #winnerOf(mac: Mac): PeerId | undefined {
    if (this.#options.isReserved(mac)) return undefined;
    if (this.#ports.has(mac)) return this.#options.selfId;
    const own = this.#own.get(mac);
    let winner = own ? this.#options.selfId : undefined;
    let highest = own?.sequence ?? -1;
    for (const peer of this.#byMac.get(mac) ?? []) {
      const sequence = this.#byPeer.get(peer)?.get(mac) ?? 0;
      if (sequence < highest) continue;
      if (sequence === highest && winner !== undefined && winner < peer) continue;
      winner = peer;
      highest = sequence;
    }
    return winner ?? this.#onlyListerOf(mac);
  }

  #onlyListerOf(mac: Mac): PeerId | undefined {
    const [first, second] = this.#listers.get(mac) ?? [];
    return second === undefined ? first : undefined;
  }
}
