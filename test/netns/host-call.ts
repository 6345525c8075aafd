import type { Mac } from '../../src/model/mac.js';

/** What host-interface.test.ts asks its agent for. */
export type HostCall =
  | { readonly method: 'preflight' | 'warnings' | 'down' | 'downNow' | 'removeEverything' }
  | { readonly method: 'up'; readonly mac: Mac }
  | { readonly method: 'setAddresses'; readonly cidrs: readonly string[] }
  | { readonly method: 'probeAddress'; readonly address: string };

export interface HostReply {
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly cure: string };
}
