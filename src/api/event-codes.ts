/**
 * Every code an event can carry: something changed, or went wrong, at the node level. Published by
 * `overlayctl events` and kept in the report; docs/operations.md explains each and a test holds the two lists
 * together, so whoever adds a code documents it in the same change.
 */
export const EVENT_CODES = [
  'daemon-ready',
  'daemon-stopping',
  'contact-added',
  'contact-removed',
  'contact-unresolved',
  'contact-silent',
  'contact-is-self',
  'contact-refused',
  'dial-paused',
  'peer-established',
  'peer-lost',
  'peer-idle',
  'peer-restarted',
  'peer-path-changed',
  'peer-mtu-changed',
  'wrong-password',
  'password-suspected',
  'other-mesh',
  'no-common-cipher',
  'version-mismatch',
  'identity-mismatch',
  'nickname-clash',
  'clone-detected',
  'record-forged',
  'record-equivocation',
  'record-quota',
  'record-store-full',
  'peer-expired',
  'peer-returned',
  'peer-removal',
  'peer-removed',
  'self-removal',
  'address-set',
  'address-conflict',
  'bench-accepted',
  'frames-spoofed',
  'dataplane-fault',
  'dataplane-overflow',
  'host-warning',
] as const;

export type EventCode = (typeof EVENT_CODES)[number];
