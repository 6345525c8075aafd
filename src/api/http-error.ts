import type { ErrorCode } from '../base/errors.js';
import { OverlayError } from '../base/errors.js';

/** The body of every refused request, and what `overlayctl --json` prints on stderr. */
export interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly value: string;
    readonly cure: string;
  };
}

export interface HttpFailure {
  readonly status: number;
  readonly document: ErrorDocument;
  /** Ours, not the caller's: worth a line in the log. */
  readonly isInternal: boolean;
}

const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  OVL_USAGE: 400,
  OVL_API_REQUEST: 400,
  OVL_ENDPOINT_INVALID: 400,
  OVL_ADDRESS_INVALID: 400,
  OVL_ADDRESS_UNAVAILABLE: 400,
  OVL_NAME_INVALID: 400,
  OVL_POOL_OVERLAP: 409,
  OVL_ADDRESS_IN_USE: 409,
  OVL_NETWORK_CONFLICT: 409,
  OVL_NETWORK_IN_USE: 409,
  OVL_TARGET_UNKNOWN: 404,
  OVL_TARGET_CONFLICT: 409,
  OVL_NOT_PERMITTED: 403,
  OVL_NOT_FOUND: 404,
  OVL_AMBIGUOUS: 409,
  OVL_PEER_ALIVE: 409,
  OVL_PEER_SELF: 409,
  OVL_IFACE_FOREIGN: 409,
  OVL_BENCH_REFUSED: 409,
  OVL_BENCH_BUSY: 409,
  OVL_API_BUSY: 503,
  OVL_UNREACHABLE: 503,
  OVL_TIMEOUT: 504,
};

export function toHttpFailure(error: unknown): HttpFailure {
  if (error instanceof OverlayError) {
    const known = STATUS_BY_CODE[error.code];
    const asked = error.fields['httpStatus'];
    return {
      status: typeof asked === 'number' ? asked : (known ?? 500),
      document: {
        error: {
          code: error.code,
          message: error.message,
          value: error.value,
          cure: error.cure,
        },
      },
      isInternal: known === undefined,
    };
  }
  return {
    status: 500,
    document: {
      error: {
        code: 'OVL_INTERNAL',
        message: `Unexpected failure: ${error instanceof Error ? error.message : String(error)}`,
        value: '',
        cure: "This is a bug in overlayd: report it with the output of 'overlayctl report' and the log.",
      },
    },
    isInternal: true,
  };
}

/** A request we do not take. `status` where 400 would say too little: 404, 405, 413. */
export function badRequest(
  message: string,
  options: { value?: string; cure: string; status?: number },
): OverlayError {
  return new OverlayError('OVL_API_REQUEST', message, {
    cure: options.cure,
    value: options.value ?? '',
    fields: { httpStatus: options.status ?? 400 },
  });
}
