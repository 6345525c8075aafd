import { addressBytes, type Cidr, cidrHas, type IpAddress } from '../model/cidr.js';
import { MAX_REMEMBERED, QUARANTINE_MS } from './constants.js';

/*
 * Addresses handed out on this node. A freed one is in quarantine for 30 s, then free for all; its last owner is
 * remembered and gets it back when it asks, as long as nobody else has it.
 *
 *   free ─ hand out ─► used ─ free ─► quarantine ─ 30 s ─► remembered ─ handed out, pushed out ─► …
 */

export interface Allocation {
  readonly address: IpAddress;
  /** Who has it: an attachment's id, or a reservation. */
  readonly owner: string;
  /** Undefined: in use. Else when it was freed, ms on the machine's clock. */
  readonly freedMs: number | undefined;
}

export class Allocations {
  /** By family and number. */
  readonly #all = new Map<string, Allocation>();
  #usedCount = 0;

  get usedCount(): number {
    return this.#usedCount;
  }

  /** In use, in no order. */
  *used(): IterableIterator<Allocation> {
    for (const each of this.#all.values()) if (each.freedMs === undefined) yield each;
  }

  at(address: IpAddress): Allocation | undefined {
    return this.#all.get(keyOf(address));
  }

  /** In use or in quarantine: for nobody but its owner. */
  isTaken(address: IpAddress, nowMs: number, owner?: string): boolean {
    const found = this.at(address);
    if (!found || found.owner === owner) return false;
    return found.freedMs === undefined || nowMs - found.freedMs < QUARANTINE_MS;
  }

  /** Taken addresses within a block, ascending. */
  takenIn(block: Cidr, nowMs: number): readonly bigint[] {
    const taken: bigint[] = [];
    for (const { address } of this.#all.values()) {
      if (cidrHas(block, address) && this.isTaken(address, nowMs)) taken.push(address.value);
    }
    return taken.sort((a, b) => (a < b ? -1 : 1));
  }

  isAnyTaken(block: Cidr, nowMs: number): boolean {
    for (const { address } of this.#all.values()) {
      if (cidrHas(block, address) && this.isTaken(address, nowMs)) return true;
    }
    return false;
  }

  /** What an owner has or had, those in use first. */
  ofOwner(owner: string): readonly Allocation[] {
    return [...this.#all.values()]
      .filter((each) => each.owner === owner)
      .sort((a, b) => Number(a.freedMs !== undefined) - Number(b.freedMs !== undefined));
  }

  use(address: IpAddress, owner: string): void {
    if (this.at(address)?.freedMs !== undefined || !this.at(address)) this.#usedCount += 1;
    const key = keyOf(address);
    this.#all.delete(key);
    this.#all.set(key, { address, owner, freedMs: undefined });
  }

  /** @returns addresses that are forgotten for it. */
  free(address: IpAddress, nowMs: number): readonly IpAddress[] {
    const found = this.at(address);
    if (!found || found.freedMs !== undefined) return [];
    this.#usedCount -= 1;
    const key = keyOf(address);
    this.#all.delete(key);
    this.#all.set(key, { ...found, freedMs: nowMs });
    const dropped: IpAddress[] = [];
    for (const each of this.#all.values()) {
      if (this.#all.size - this.#usedCount - dropped.length <= MAX_REMEMBERED) break;
      if (each.freedMs !== undefined && nowMs - each.freedMs >= QUARANTINE_MS) {
        dropped.push(each.address);
      }
    }
    for (const each of dropped) this.#all.delete(keyOf(each));
    return dropped;
  }

  forget(address: IpAddress): void {
    if (this.at(address)?.freedMs === undefined && this.at(address)) this.#usedCount -= 1;
    this.#all.delete(keyOf(address));
  }

  restore(allocation: Allocation): void {
    if (allocation.freedMs === undefined) this.#usedCount += 1;
    this.#all.set(keyOf(allocation.address), allocation);
  }
}

function keyOf(address: IpAddress): string {
  return `${address.family}:${address.value}`;
}

/** Of the store: `4` or `6`, then the address in hex. */
export function cellOfAddress(address: IpAddress): string {
  return `${address.family}${Buffer.from(addressBytes(address)).toString('hex')}`;
}
