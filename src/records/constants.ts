/** Law: docs/protocol.md §5. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** A record this far behind its owner's newest is dead. Versions are the owner's own milliseconds. */
export const DEAD_BEHIND = 24 * HOUR_MS;
export const RESIGN_AFTER_MS = 8 * HOUR_MS;
export const LEASE_MS = 24 * HOUR_MS;
/** Nothing expires this soon after start or after being alone. */
export const EXPIRY_GRACE_MS = 10 * MINUTE_MS;
/** Silence counts while the last synchronisation is no older. */
export const COUNT_IF_SYNCED_MS = MINUTE_MS;
export const LEASE_TICK_MS = MINUTE_MS;

export const OWNER_MAX_RECORDS = 256;
export const OWNER_MAX_BYTES = 128 * 1024;
export const OWNER_BURST = 64;
export const OWNER_VERSIONS_PER_SECOND = 1;
/** Our own re-signing stays below what others accept. */
export const OWN_RESIGN_SPACING_MS = 1250;
/** Groups of shared records, 256 a kind. */
export const SHARED_MAX_RECORDS = 1024;
export const SHARED_MAX_BYTES = 512 * 1024;

export const STORE_MAX_OWNERS = 12_288;
export const STORE_MAX_BYTES = 64 * 1024 * 1024;

export const REMOVALS_PER_MINUTE = 6;
/** A store that was empty at its start may learn a mesh's history. */
export const REMOVALS_BURST_WHEN_NEW = 64;
export const REMOVAL_SIGNERS_KEPT = 4;
export const REMOVAL_SILENCE_MS = MINUTE_MS;
export const REMOVAL_SIGNER_KNOWN_MS = HOUR_MS;
export const REMOVAL_SIGNERS_FOR_LIVE = 2;

/** The own version counter is persisted this far ahead, so that it is rarely written. */
export const VERSION_RESERVE = MINUTE_MS;
