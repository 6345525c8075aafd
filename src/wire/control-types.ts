/**
 * Type byte of a control message (docs/protocol.md §4). PING, PONG and RR are native's own and never come up;
 * native has the same numbers in control.h, and a contract test holds the two together.
 */
export const CONTROL = {
  PING: 1,
  PONG: 2,
  RR: 3,
  REKEY1: 4,
  REKEY2: 5,
  RECORDS: 6,
  DIGEST: 7,
  PULL: 8,
  PUNCH: 9,
  RELAY_ALLOC: 10,
  RELAY_OK: 11,
  RELAY_FREE: 12,
  RELAY_GONE: 13,
  CLOSE: 14,
  PEER_INFO: 15,
  REKEY_ASK: 16,
  BENCH_ASK: 17,
  BENCH_ANSWER: 18,
  IPAM_HELLO: 20,
  IPAM_ASK: 21,
  IPAM_GRANT: 22,
  IPAM_REFUSE: 23,
  IPAM_GONE: 24,
  IPAM_GONE_ANSWER: 25,
} as const;

const KNOWN: ReadonlySet<number> = new Set(Object.values(CONTROL));

/** Others come from later versions (docs/protocol.md §1.1). */
export function isControlType(type: number): boolean {
  return KNOWN.has(type);
}
