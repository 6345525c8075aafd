import assert from 'node:assert/strict';
import type { ErrorCode } from '../../../src/base/errors.js';
import { ERROR_CODES, OverlayError } from '../../../src/base/errors.js';
import { toHttpFailure } from '../../../src/api/http-error.js';

/** What no request is to blame for: met at the start, at run time, or by overlayctl itself. */
const NOT_A_REFUSAL: readonly ErrorCode[] = [
  'OVL_PASSWORD_MISSING',
  'OVL_CONFIG_INVALID',
  'OVL_STATE_DIR',
  'OVL_STATE_LOCKED',
  'OVL_STATE_NEWER',
  'OVL_SOCKET_PATH',
  'OVL_SOCKET_IN_USE',
  'OVL_TAP_OPEN',
  'OVL_TAP_LOST',
  'OVL_GSO_OFF',
  'OVL_TRAINS_LOST',
  'OVL_JOIN_OFF',
  'OVL_UDP_BIND',
  'OVL_TCP_LISTEN',
  'OVL_DNS_BIND',
  'OVL_IFACE_CONFIG',
  'OVL_ADDON_MISSING',
  'OVL_BATCH_REFUSED',
  'OVL_BENCH_BROKEN',
  'OVL_API_ANSWER',
  'OVL_INTERNAL',
];

describe('a failed request', () => {
  it('is the fault of the caller for every refusal, and no error in the log', () => {
    for (const code of ERROR_CODES.filter((one) => !NOT_A_REFUSAL.includes(one))) {
      const { status, isInternal } = toHttpFailure(
        new OverlayError(code, 'No', { cure: '', value: '' }),
      );
      assert.ok(!isInternal && status !== 500, code);
    }
  });

  it('is ours where something broke', () => {
    for (const code of NOT_A_REFUSAL) {
      const { status, isInternal } = toHttpFailure(
        new OverlayError(code, 'No', { cure: '', value: '' }),
      );
      assert.ok(isInternal && status === 500, code);
    }
  });
});
