import type { Mac } from '../model/mac.js';
import type { Target } from '../model/target.js';

export const DEFAULT_NETWORK = 'default';

/**
 * A target on a network, as the operator asked for it. It is kept in the state store and keeps its addresses and MAC
 * until it is detached, whatever becomes of interfaces, bridge, namespace and daemon in between.
 */
export interface Attachment {
  /** 16 hex digits that follow from the daemon's interface, network and target. */
  readonly id: string;
  readonly target: Target;
  readonly network: string;
  /** In the target; of a TAP its own name. */
  readonly ifName: string;
  /** The bridge's port on this host. */
  readonly port: string;
  /** Undefined: a TAP whose VM chooses by itself. */
  readonly mac: Mac | undefined;
  /** Whether the operator chose the MAC; otherwise it follows from node and attachment. */
  readonly isMacGiven: boolean;
  /** With length, in the order in which they were given. */
  readonly addresses: readonly string[];
  /** In the DNS, relative to the domain; undefined: none. */
  readonly name: string | undefined;
  /** False: no name, and the target's resolv.conf is left alone. */
  readonly dns: boolean;
  readonly gateway: string | undefined;
  readonly routes: readonly string[];
  readonly mtuBytes: number;
}
