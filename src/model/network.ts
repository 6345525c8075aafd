/*
 * Networks: the Ethernet segments of a mesh (docs/protocol.md §0). A network's id follows from the mesh and its name;
 * `default` is 0 and need not be created.
 */

/** 24 bits. */
export type NetworkId = number;

export const DEFAULT_NETWORK_ID: NetworkId = 0;
export const MAX_NETWORK_ID: NetworkId = 0xffffff;

/** What `network create` fixed, the same on every node. */
export interface NetworkDefinition {
  readonly id: NetworkId;
  /** NFC. */
  readonly name: string;
  /** Cidr texts that its addresses lie in; none: any address will do. */
  readonly subnets: readonly string[];
  /** Bytes of IP packet on its interfaces. */
  readonly mtuBytes: number;
  /** Milliseconds since 1970 by its creator's clock: of two definitions the earlier one counts. */
  readonly createdMs: number;
}

export const MIN_MTU_BYTES = 1280;
export const MAX_MTU_BYTES = 9000;
export const MAX_SUBNETS = 8;
export const MAX_NETWORK_NAME_BYTES = 63;
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}\p{M}_.-]*$/u;

/** Letters, digits, dots, dashes and underscores of any script, in NFC; undefined: it cannot be a network's name. */
export function parseNetworkName(text: string): string | undefined {
  const name = text.normalize('NFC');
  const isName = NAME.test(name) && Buffer.byteLength(name) <= MAX_NETWORK_NAME_BYTES;
  return isName ? name : undefined;
}
