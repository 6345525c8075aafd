import {
  addressBytes,
  addressFromBytes,
  lastOfCidr,
  type AddressRange,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';
import { fromHex, toHex } from '../base/bytes.js';
import { intersect, subtract, type Range } from './space.js';

/** What changed, as cells of the store: `4` or `6`, then both ends in hex. */
export interface CellChange {
  readonly cell: string;
  readonly isThere: boolean;
}

/**
 * Ranges of this node's space that nobody is given an address of: an operator keeps them. Kept apart from each other,
 * neighbours joined.
 */
export class Reservations {
  #all: readonly AddressRange[] = [];

  get all(): readonly AddressRange[] {
    return this.#all;
  }

  has(address: IpAddress): boolean {
    return this.#all.some(
      ({ family, first, last }) =>
        family === address.family && first <= address.value && address.value <= last,
    );
  }

  /** What of a block is reserved. */
  in(block: Cidr): readonly Range[] {
    const limits = { first: block.first, last: lastOfCidr(block) };
    return this.#all
      .filter(({ family }) => family === block.family)
      .flatMap((range) => intersect(range, limits) ?? []);
  }

  sizeIn(block: Cidr): bigint {
    return this.in(block).reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  }

  add({ family, first, last }: AddressRange): readonly CellChange[] {
    const isNear = (other: AddressRange): boolean =>
      other.family === family && other.first <= last + 1n && other.last + 1n >= first;
    const near = this.#all.filter(isNear);
    const joined = near.reduce<AddressRange>(
      (sum, other) => ({
        family,
        first: other.first < sum.first ? other.first : sum.first,
        last: other.last > sum.last ? other.last : sum.last,
      }),
      { family, first, last },
    );
    return this.#become([...this.#all.filter((other) => !isNear(other)), joined]);
  }

  remove({ family, first, last }: AddressRange): readonly CellChange[] {
    return this.#become(
      this.#all.flatMap((range) =>
        range.family === family
          ? subtract([range], [{ first, last }]).map((part) => ({ family, ...part }))
          : [range],
      ),
    );
  }

  restore(cell: string): void {
    const match = /^(?:4([0-9a-f]{8})-([0-9a-f]{8})|6([0-9a-f]{32})-([0-9a-f]{32}))$/.exec(cell);
    if (!match) return;
    const family = match[1] === undefined ? 6 : 4;
    const valueOf = (hex: string | undefined): bigint => addressFromBytes(fromHex(hex ?? ''));
    const [first, last] = [valueOf(match[1] ?? match[3]), valueOf(match[2] ?? match[4])];
    if (first <= last) this.#all = [...this.#all, { family, first, last }];
  }

  #become(all: readonly AddressRange[]): readonly CellChange[] {
    const [before, after] = [new Set(this.#all.map(cellOf)), new Set(all.map(cellOf))];
    this.#all = all;
    return [
      ...[...after].filter((cell) => !before.has(cell)).map((cell) => ({ cell, isThere: true })),
      ...[...before].filter((cell) => !after.has(cell)).map((cell) => ({ cell, isThere: false })),
    ];
  }
}

function cellOf({ family, first, last }: AddressRange): string {
  const hex = (value: bigint): string => toHex(addressBytes({ family, value }));
  return `${family}${hex(first)}-${hex(last)}`;
}
