import { addressBytes, addressFromBytes, type Cidr, type IpAddress } from '../model/cidr.js';
import { peerIdBytes, peerIdFromBytes, type PeerId } from '../model/peer-id.js';
import type { PoolId, Title } from './title.js';

/*
 * What members say to each other about addresses, and what the machine of this room wants done.
 *
 *   holder-to-be            holder                   witness: the holder's heir
 *        │── ask ─────────────►│ title stored, block locked
 *        │                     │── grant (pending title) ──►│ stored, signed as a record
 *        │◄──────────────────────────────────── title ──────│
 *        │                     │◄─────────────── title ─────│ block is the other's
 *
 * `hello` says who has a pool; `gone` and `goneAnswer` are how an heir learns that everybody knows of a removal.
 */

export type RefuseReason =
  /** Nothing to give. */
  | 'full'
  /** Something to give, but `peer` is needed for it and cannot be reached. */
  | 'waiting'
  /** The block is in use. */
  | 'in use'
  /** It is changing hands. */
  | 'busy'
  /** It is not the asked node's. */
  | 'not mine';

export type IpamMessage =
  | { readonly kind: 'hello'; readonly hasPool: boolean }
  | {
      readonly kind: 'ask';
      /** The asking node's own number: the same one gets the same title again. */
      readonly request: number;
      readonly pool: PoolId;
      /** Space is wanted within this block, or all of it. */
      readonly within: Cidr;
      /** Prefix length wanted; equal to that of `within`: exactly that block. */
      readonly bits: number;
      /** It is in use at the asking node already, under a title that lost. */
      readonly isHold: boolean;
    }
  | { readonly kind: 'grant'; readonly title: Title }
  | {
      readonly kind: 'refuse';
      readonly request: number;
      readonly reason: RefuseReason;
      /** Who is waited for; of a block in use, an address that is (`addressAsId`). */
      readonly peer: PeerId | undefined;
    }
  | {
      readonly kind: 'gone';
      /** Who is believed to be gone. */
      readonly peer: PeerId;
      /** Of the asking node's titles about it and of the asked one (Ledger.digestAbout). */
      readonly digest: string;
      /** The titles leave no heir: the smallest id asks, and the digest is of all members, too. */
      readonly isLastResort: boolean;
    }
  | {
      readonly kind: 'goneAnswer';
      readonly peer: PeerId;
      readonly digest: string;
      readonly verdict: 'yes' | 'differs' | 'alive';
    };

/** Why there is no address. */
export interface Refusal {
  readonly code: 'full' | 'waiting' | 'no pool' | 'in use' | 'outside' | 'reserved' | 'removed';
  /** Without the peer's name: `peer` says it. */
  readonly text: string;
  /** Who is in the way. */
  readonly peer: PeerId | undefined;
  /** What is in use on this node. */
  readonly address?: string;
}

export type Outcome =
  | { readonly ok: true; readonly address: IpAddress; readonly bits: number }
  | { readonly ok: false; readonly refusal: Refusal };

/** An address used twice. */
export interface Clash {
  readonly address: IpAddress;
  /** Who has its title. */
  readonly holder: PeerId;
  /** Who uses it too. */
  readonly loser: PeerId;
}

export type IpamAction =
  | { readonly kind: 'send'; readonly to: PeerId; readonly message: IpamMessage }
  /** Sign it as a record and spread it: this node is its witness, or its grantor when it has none. */
  | { readonly kind: 'publish'; readonly title: Title }
  /** Hand these records to a peer now, as far as their records are known. */
  | { readonly kind: 'tell'; readonly to: PeerId; readonly titles: readonly Title[] }
  /**
   * On disk before any later action is done but an answer; undefined: the cell goes. Who has an address may come there
   * with the attachment that it is for, since the start takes back what no owner was written down with.
   */
  | { readonly kind: 'persist'; readonly key: string; readonly value: string | undefined }
  | { readonly kind: 'answer'; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: 'clash'; readonly clash: Clash; readonly isOurs: boolean }
  | {
      readonly kind: 'event';
      readonly code: 'pool-founded' | 'block-taken-over';
      readonly text: string;
      readonly peer: PeerId | undefined;
    };

/** Collects what a turn wants done, in order; machines are handed one and never keep it. */
export class IpamActions {
  readonly list: IpamAction[] = [];

  send(to: PeerId, message: IpamMessage): void {
    this.list.push({ kind: 'send', to, message });
  }

  publish(title: Title): void {
    this.list.push({ kind: 'publish', title });
  }

  tell(to: PeerId, titles: readonly Title[]): void {
    if (titles.length > 0) this.list.push({ kind: 'tell', to, titles });
  }

  persist(key: string, value: string | undefined): void {
    this.list.push({ kind: 'persist', key, value });
  }

  answer(id: number, outcome: Outcome): void {
    this.list.push({ kind: 'answer', id, outcome });
  }

  clash(clash: Clash, isOurs: boolean): void {
    this.list.push({ kind: 'clash', clash, isOurs });
  }

  event(code: Extract<IpamAction, { kind: 'event' }>['code'], text: string, peer?: PeerId): void {
    this.list.push({ kind: 'event', code, text, peer });
  }
}

/** In the place of a peer's id: which address of a block is in use, as titles write it. */
export function addressAsId(address: IpAddress): PeerId {
  const bytes = new Uint8Array(16);
  bytes.set(addressBytes(address));
  return peerIdFromBytes(bytes);
}

/** Of an address in that block. */
export function addressOfId(id: PeerId, { family }: Cidr): IpAddress {
  const bytes = peerIdBytes(id);
  return { family, value: addressFromBytes(family === 4 ? bytes.subarray(0, 4) : bytes) };
}
