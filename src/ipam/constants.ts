/*
 * Times and sizes of address management (docs/protocol.md §9).
 */

/** Every request has its answer within 2 s; this leaves the rest for the way back. */
export const ANSWER_WITHIN_MS = 1800;
/** A freed address is given to nobody else for this long: caches of neighbours still name its last owner. */
export const QUARANTINE_MS = 30_000;
/** A question to a holder is repeated, then another holder is asked. */
export const ASK_AGAIN_MS = 250;
export const ASK_GIVE_UP_MS = 700;
/** A holder that refused is not asked again at once. */
export const REFUSED_FOR_MS = 1000;
/** More space is asked for in the background, and again only after this. */
export const MORE_AGAIN_MS = 10_000;
/** A pending title is shown to its witness again. */
export const PENDING_AGAIN_MS = 300;
/** "Is it gone" is asked again of those who have not said so. */
export const GONE_AGAIN_MS = 500;
/** An address that is in use under a lost title is asked for again. */
export const HOLD_AGAIN_MS = 2000;
/** Merging and returning of blocks. */
export const TIDY_EVERY_MS = 5000;
/** Blocks are given back only when nothing was freed or handed out for this long. */
export const RETURN_AFTER_MS = 60_000;
/** Nobody answered: a pool is founded (rule 7). */
export const FOUND_ALONE_AFTER_MS = 10_000;
/** Among pool-less peers the smallest id founds, once it has seen who is there. */
export const FOUND_TOGETHER_AFTER_MS = 300;
/** A peer that does not say whether it has a pool is passed over. */
export const HELLO_WITHIN_MS = 2000;
export const HELLO_AGAIN_MS = 1000;

/** Blocks of a first grant: the pool's 32nd part, within these limits. */
export const BASE_PARTS_BITS = 5;
export const BASE_BLOCK_MIN_BITS = 2;
export const BASE_BLOCK_MAX_BITS = 6;
/** No grant is larger than 4096 addresses. */
export const GRANT_MAX_BITS = 12;
/** Epochs of a take-over begin at the next multiple: they win over every grant that was under way. */
export const TAKE_OVER_EPOCHS = 2 ** 16;
export const MAX_EPOCH = 2 ** 48 - 1;

export const MAX_WAITING = 4096;
export const MAX_PENDING = 1024;
/** Freed addresses that are remembered for their owner. */
export const MAX_REMEMBERED = 4096;
/** Titles shown to a peer at once. */
export const TELL_MAX = 64;
