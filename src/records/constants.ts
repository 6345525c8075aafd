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
export const REMOVALS_BURST_WHEN_NEW = 1024;
/** About one peer: of signers known for over an hour, and of the others. */
export const REMOVAL_SIGNERS_KEPT = 8;
export const REMOVAL_SILENCE_MS = MINUTE_MS;
export const REMOVAL_SIGNER_KNOWN_MS = HOUR_MS;
export const REMOVAL_SIGNERS_FOR_LIVE = 2;

/** The own version counter is persisted this far ahead, so that it is rarely written. */
export const VERSION_RESERVE = MINUTE_MS;

export const PUSH_FANOUT = 3;
/** News wait this long for more, so that several share a message. */
export const PUSH_DELAY_MS = 10;
/** Where there are many neighbours what others said waits so long after a push: each push is a message to three. */
export const PUSH_AGAIN_MS = 500;
export const PUSH_AGAIN_FROM = 8;
export const PUSH_MAX_QUEUED = 256;
/** An answer that brought more than this is history, not news: nobody is told. */
export const PUSH_PULLED_MAX = 16;

export const ANTI_ENTROPY_MIN_MS = 10 * SECOND_MS;
export const ANTI_ENTROPY_MAX_MS = 30 * SECOND_MS;
/** After something new the next comparison is this far away. */
export const NEWS_COMPARED_MIN_MS = 2 * SECOND_MS;
export const NEWS_COMPARED_MAX_MS = 5 * SECOND_MS;
export const MAX_SYNCS = 2;
/** New neighbours, and those that differ, are caught up with at once, so many of them; of more, one in 4 s. */
export const CATCH_UPS_BURST = 6;
export const CATCH_UPS_PER_SECOND = 0.25;
/** A neighbour that asks and differs is asked back, this often at most. */
export const SYNC_AGAIN_MS = SECOND_MS;

export const REQUEST_TIMEOUT_MS = SECOND_MS;
export const REQUEST_TRIES = 4;
/** Rounds of one synchronisation: each but the last brought something. */
export const SYNC_ROUNDS = 64;
/** Nothing more is asked for while this many wait to be verified. */
export const ASK_BELOW_QUEUED = 512;

export const ANSWER_BYTES_PER_SECOND = 512 * 1024;
export const ANSWER_BURST_BYTES = 1024 * 1024;
/** Of one PULL. */
export const ANSWER_MAX_BYTES = 32 * 1024;

/** Verified in one turn: about 3.5 ms. */
export const VERIFY_PER_TURN = 32;
export const VERIFY_MAX_QUEUED_PER_NEIGHBOUR = 1536;
export const BAD_SIGNATURES_BURST = 8;
export const BAD_SIGNATURES_PER_SECOND = 0.1;
/** A neighbour that spread forgeries is not listened to for this long. */
export const DEAF_MS = MINUTE_MS;

/** Records that a neighbour may push and that have to be verified: 1.4 % of a core. Answers to what we ask are apart. */
export const PUSHED_BURST = 1024;
export const PUSHED_PER_SECOND = 128;
/** A member that says more than its share is named this often … */
export const ACCUSE_AGAIN_MS = 10 * MINUTE_MS;
export const ACCUSED_KEPT = 256;
/** … once its signature was looked at: so many of these. */
export const ACCUSE_CHECKS_BURST = 4;
export const ACCUSE_CHECKS_PER_SECOND = 0.2;
