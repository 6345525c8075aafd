import { OverlayError } from '../base/errors.js';
import type { Refusal } from '../ipam/actions.js';
import {
  cidrsOverlap,
  formatAddress,
  formatCidr,
  formatRange,
  parseCidr,
  parseRange,
  widthOf,
  type AddressRange,
  type Cidr,
  type IpAddress,
} from '../model/cidr.js';

/*
 * What people are told about addresses and pools: errors that name the value, who is in the way, and what to do.
 */

/** What to do about a refusal where the address was wanted for an attachment. */
const CURES: Readonly<Record<Refusal['code'], string>> = {
  'in use': 'Choose another one, or leave it out and get a free one.',
  full: 'Detach what is not needed, remove peers that are gone for good, or add a pool (overlayctl ipam pool).',
  waiting: 'Try again when that peer is back; if it is gone for good, remove it.',
  'no pool': 'Try again in a few seconds; without other nodes a pool is founded after ten.',
  outside: 'Name a subnet of a pool (overlayctl ipam status).',
  reserved: 'Choose another one.',
  removed: "Run 'overlayctl reset' here and start it again: it joins with a new identity.",
};

const RESERVE_CURES: Partial<Record<Refusal['code'], string>> = {
  'in use': 'Detach or release it there first, or leave it out: --except <address>.',
  outside: 'Name addresses of one pool (overlayctl ipam pool list).',
  reserved: 'It needs no reservation: nobody is ever given an address of that part.',
};

const END_CURES: Partial<Record<Refusal['code'], string>> = {
  'in use': 'Detach what uses it, or release what is reserved, there.',
  reserved: 'Add another pool first.',
};

/** Ranges that no host takes for one of its neighbours': "this network", loopback, link-local, multicast and above. */
const UNUSABLE = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/8',
  'fe80::/10',
  'ff00::/8',
];
/** A pool with fewer addresses has none to hand out. */
const SMALLEST_POOL = 4n;
const LARGEST_IPV4_BITS = 8;
const LARGEST_IPV6_BITS = 16;

/** What was wanted, and so what is to be done about it. */
export type Purpose = 'give' | 'reserve' | 'end';

interface People {
  /** ` (beta)`, or nothing where it is this node. */
  readonly peer: string;
  /** Who has it on this host, as people call it. */
  readonly user: string | undefined;
  /** Whose the pools are that could have given one. */
  readonly pools: readonly PoolHolders[];
}

export interface PoolHolders {
  readonly range: Cidr;
  readonly holders: readonly { readonly name: string; readonly addresses: bigint }[];
}

/** So many of each pool are named, those with the most. */
const NAMED_HOLDERS = 6;
/** Pools of which that is said. */
const NAMED_POOLS = 3;

/** `value`: as it was typed, may be empty. */
export function refusedError(
  purpose: Purpose,
  value: string,
  { code, text }: Refusal,
  { peer, user, pools }: People,
): OverlayError {
  const whose = code === 'full' ? pools.slice(0, NAMED_POOLS).map(holdersText).join('') : '';
  const why = `${text}${user === undefined ? '' : ` by ${user}`}${peer}${whose}`;
  const isUsed = code === 'in use';
  const subject = value === '' ? 'No address can be given' : `No address of ${value} can be given`;
  const what = {
    give: isUsed ? `${value} cannot be given` : subject,
    reserve: `${value} cannot be reserved`,
    end: `The pool ${value} cannot be removed`,
  };
  const cures = { give: CURES, reserve: RESERVE_CURES, end: END_CURES };
  return new OverlayError(
    isUsed ? 'OVL_ADDRESS_IN_USE' : 'OVL_ADDRESS_UNAVAILABLE',
    `${what[purpose]}: ${why}`,
    { value, cure: cures[purpose][code] ?? CURES[code] },
  );
}

/** `; of 10.32.0.0/28 alpha has 8 addresses, this node 6 and 2 others 2`. */
function holdersText({ range, holders }: PoolHolders): string {
  const sorted = [...holders].sort((a, b) => Number(b.addresses - a.addresses));
  const parts = sorted.slice(0, NAMED_HOLDERS).map(({ name, addresses }, at) => {
    return `${name} ${at === 0 ? 'has ' : ''}${addresses}${at === 0 ? ' addresses' : ''}`;
  });
  const others = sorted.slice(NAMED_HOLDERS);
  const left = others.reduce((sum, { addresses }) => sum + addresses, 0n);
  if (others.length > 0) parts.push(`${others.length} others ${left}`);
  const last = parts.pop();
  if (last === undefined) return '';
  return `; of ${formatCidr(range)} ${[parts.join(', '), last].filter(Boolean).join(' and ')}`;
}

/** @throws OVL_ADDRESS_UNAVAILABLE */
export function notASubnet(text: string): OverlayError {
  return new OverlayError('OVL_ADDRESS_UNAVAILABLE', `'${text}' is not a subnet`, {
    value: text,
    cure: CURES.outside,
  });
}

/** Of a release that would change nothing while something of the range is in use here. */
export function stillInUse(
  text: string,
  address: IpAddress,
  user: string | undefined,
): OverlayError {
  const [bare, by] = [formatAddress(address), user === undefined ? '' : ` by ${user}`];
  const where = user === undefined ? "'overlayctl ps' shows by whom" : `overlayctl detach ${user}`;
  const message = `Nothing of ${text} is reserved here: ${bare} is in use${by}`;
  const cure = `An address in use is freed by detaching it (${where}).`;
  return new OverlayError('OVL_ADDRESS_IN_USE', message, { value: text, cure });
}

/** Of a release of what another node holds: a reservation would be there. */
export function heldElsewhere(text: string, holder: string): OverlayError {
  const message = `Nothing of ${text} is reserved here: the space is held by ${holder}`;
  const cure = `If it is reserved there, run 'overlayctl ipam release' there; what is attached there is detached there.`;
  return new OverlayError('OVL_ADDRESS_UNAVAILABLE', message, { value: text, cure });
}

export function inNoPool(text: string): OverlayError {
  const message = `${text} is in no pool`;
  const cure = 'Name addresses of a pool (overlayctl ipam pool list).';
  return new OverlayError('OVL_ADDRESS_UNAVAILABLE', message, { value: text, cure });
}

/** Of the end of a range that is part of a pool, or holds one. */
export function noSuchPool(text: string, pool: Cidr): OverlayError {
  const message = `${text} is no pool: ${formatCidr(pool)} is one`;
  const cure = "Name it as 'overlayctl ipam pool list' shows it.";
  return new OverlayError('OVL_ADDRESS_INVALID', message, { value: text, cure });
}

/** @throws OVL_ADDRESS_INVALID */
export function mustParsePool(text: string): Cidr {
  const range = parseCidr(text);
  if (range) return range;
  throw new OverlayError('OVL_ADDRESS_INVALID', `'${text}' is not a range of addresses`, {
    value: text,
    cure: 'Give it by its first address and length, like 10.80.0.0/16 or fd12:3456::/64.',
  });
}

/** Refuses what cannot be a pool anywhere. @throws OVL_ADDRESS_INVALID */
export function mustBeUsablePool(text: string, pool: Cidr): void {
  const refuse = (why: string, cure: string): never => {
    throw new OverlayError('OVL_ADDRESS_INVALID', `${text} cannot be a pool: ${why}`, {
      value: text,
      cure,
    });
  };
  const reserved = UNUSABLE.find((other) => cidrsOverlap(parseCidr(other) ?? pool, pool));
  if (reserved !== undefined) {
    refuse(`hosts do not use ${reserved} for that`, 'Choose a private range, like 10.80.0.0/16.');
  }
  const sizeBits = widthOf(pool.family) - pool.bits;
  if (1n << BigInt(sizeBits) < SMALLEST_POOL) {
    refuse('it has no address to hand out', 'Choose a larger one, like 10.80.0.0/24.');
  }
  const largest = pool.family === 4 ? LARGEST_IPV4_BITS : LARGEST_IPV6_BITS;
  if (pool.bits < largest) refuse('it is too large', `Give one of /${largest} at most.`);
}

/** @throws OVL_ADDRESS_INVALID */
export function mustParseRange(text: string): AddressRange {
  const range = parseRange(text);
  if (range) return range;
  throw new OverlayError('OVL_ADDRESS_INVALID', `'${text}' is no address and no range of them`, {
    value: text,
    cure: 'Give it like 10.32.0.9, 10.32.0.9-10.32.0.20 or 10.32.1.0/24.',
  });
}

/** @throws OVL_ADDRESS_INVALID where nothing is left to do */
export function nothingLeft(text: string, except: readonly AddressRange[]): OverlayError {
  const value = except.map(formatRange).join();
  const message = `--except ${value} leaves nothing of ${text}`;
  const cure = 'Reserve more, or except less.';
  return new OverlayError('OVL_ADDRESS_INVALID', message, { value, cure });
}
