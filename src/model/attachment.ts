/*
 * What the control API and the room that keeps attachments both speak of. Part of the API's documents: fields may be
 * added, none is renamed or removed (api/control.ts).
 */

/** As typed after `overlayctl attach`. */
export interface AttachRequest {
  readonly target: string;
  readonly addresses: readonly string[];
  /** By default the network `default`. */
  readonly network?: string | undefined;
  readonly ifname?: string | undefined;
  readonly mac?: string | undefined;
  /** By default that of a named namespace. */
  readonly name?: string | undefined;
  /** False: no name, and the target's resolv.conf is left alone. */
  readonly dns?: boolean | undefined;
  readonly gateway?: string | undefined;
  readonly routes?: readonly string[] | undefined;
  readonly mtu?: number | undefined;
}

/** As `overlayctl ps` shows it. */
export interface AttachmentReport {
  /** As it was named, e.g. `web`, `/run/x/ns`, `pid:4711`, `tap:vm1`. */
  readonly target: string;
  readonly network: string;
  /** In the target. */
  readonly ifname: string;
  /** Null: the VM at the TAP chooses by itself. */
  readonly mac: string | null;
  /** With length. */
  readonly addresses: readonly string[];
  /** In the DNS, relative to the domain. */
  readonly name: string | null;
  /** `waiting`: the target is not there, or its interface cannot be made. */
  readonly state: 'attached' | 'waiting';
  /** Why it waits. */
  readonly reason: string | null;
  /** Frames it sent under a MAC or an address that is not its own, lately counted; they were dropped. */
  readonly spoofed: { readonly mac: number; readonly address: number };
}
