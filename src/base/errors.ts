/**
 * Every code an operator can meet; docs/operations.md says for each what it means and what to do, and a test holds
 * the two lists together.
 */
export const ERROR_CODES = [
  'OVL_USAGE',
  'OVL_PASSWORD_MISSING',
  'OVL_CONFIG_INVALID',
  'OVL_STATE_DIR',
  'OVL_STATE_LOCKED',
  'OVL_STATE_NEWER',
  'OVL_SOCKET_PATH',
  'OVL_SOCKET_IN_USE',
  'OVL_NOT_PERMITTED',
  'OVL_TAP_OPEN',
  'OVL_TAP_LOST',
  'OVL_GSO_OFF',
  'OVL_TRAINS_LOST',
  'OVL_JOIN_OFF',
  'OVL_UDP_BIND',
  'OVL_TCP_LISTEN',
  'OVL_DNS_BIND',
  'OVL_IFACE_FOREIGN',
  'OVL_IFACE_CONFIG',
  'OVL_ADDRESS_INVALID',
  'OVL_ADDRESS_IN_USE',
  'OVL_ADDRESS_UNAVAILABLE',
  'OVL_POOL_OVERLAP',
  'OVL_NAME_INVALID',
  'OVL_NETWORK_CONFLICT',
  'OVL_NETWORK_IN_USE',
  'OVL_TARGET_UNKNOWN',
  'OVL_TARGET_CONFLICT',
  'OVL_ADDON_MISSING',
  'OVL_BATCH_REFUSED',
  'OVL_ENDPOINT_INVALID',
  'OVL_NOT_FOUND',
  'OVL_AMBIGUOUS',
  'OVL_PEER_ALIVE',
  'OVL_PEER_SELF',
  'OVL_TIMEOUT',
  'OVL_UNREACHABLE',
  'OVL_BENCH_REFUSED',
  'OVL_BENCH_BUSY',
  'OVL_BENCH_BROKEN',
  'OVL_API_REQUEST',
  'OVL_API_BUSY',
  'OVL_API_ANSWER',
  'OVL_INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Fields that help the reader find the place: interface names, paths, errno … never secrets. */
export type ErrorFields = Readonly<Record<string, string | number | boolean>>;

/** An operational failure: what could not be done, with the value, and what to do about it. */
export class OverlayError extends Error {
  readonly code: ErrorCode;
  /** What to do, one sentence. */
  readonly cure: string;
  /** The offending value as text; empty when there is none. */
  readonly value: string;
  readonly fields: ErrorFields;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cure: string; value?: string; fields?: ErrorFields; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.name = 'OverlayError';
    this.code = code;
    this.cure = options.cure;
    this.value = options.value ?? '';
    this.fields = options.fields ?? {};
  }
}

/** For the default branch of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
