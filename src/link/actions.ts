import type { SendItem, TableEntry } from '../dataplane/dataplane.js';
import type { PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';

/** Something an operator asks about; the daemon stamps it and puts it into the event ring. */
export interface Note {
  readonly level: 'info' | 'warn' | 'error';
  readonly code:
    | 'contact-unresolved'
    | 'contact-silent'
    | 'contact-is-self'
    | 'contact-refused'
    | 'dial-paused'
    | 'peer-established'
    | 'peer-lost'
    | 'peer-idle'
    | 'peer-restarted'
    | 'peer-path-changed'
    | 'peer-mtu-changed'
    | 'wrong-password'
    | 'password-suspected'
    | 'other-mesh'
    | 'no-common-cipher'
    | 'version-mismatch'
    | 'identity-mismatch'
    | 'clone-detected';
  readonly message: string;
  readonly peer?: PeerId;
  readonly endpoint?: string;
  readonly cure?: string;
}

/** What a machine wants done; daemon/effects.ts does it. A turn's table entries form one batch, in this order. */
export type LinkAction =
  | { readonly kind: 'table'; readonly entry: TableEntry }
  /** Sent when the turn's tables are in force, or before them (what must leave on a session that ends now). */
  | { readonly kind: 'send'; readonly item: SendItem; readonly isBeforeTables?: true }
  /** Answered by `Dialer.onResolved` with the same ticket. */
  | { readonly kind: 'resolve'; readonly ticket: number; readonly host: string }
  | { readonly kind: 'note'; readonly note: Note }
  /** What is stored of this peer changed. */
  | { readonly kind: 'peerChanged'; readonly peer: PeerId }
  /** A session with this peer carries data from now on. */
  | { readonly kind: 'peerUp'; readonly peer: PeerId };

/** Collects what a turn wants done; machines are handed one and never keep it. */
export class Actions {
  readonly list: LinkAction[] = [];

  table(entry: TableEntry): void {
    this.list.push({ kind: 'table', entry });
  }

  send(item: SendItem): void {
    this.list.push({ kind: 'send', item });
  }

  sendBeforeTables(item: SendItem): void {
    this.list.push({ kind: 'send', item, isBeforeTables: true });
  }

  datagram(to: PathAddress, bytes: Uint8Array): void {
    this.send({ kind: 'datagram', to, bytes });
  }

  note(note: Note): void {
    this.list.push({ kind: 'note', note });
  }

  push(action: LinkAction): void {
    this.list.push(action);
  }
}
