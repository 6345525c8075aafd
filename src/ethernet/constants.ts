/*
 * Times of RFC 3376 §8 and RFC 3810 §9 with their default robustness of 2, and our bounds.
 */

export const QUERY_INTERVAL_MS = 125_000;
export const QUERY_RESPONSE_MS = 10_000;
/** 2 × interval + response. */
export const MEMBERSHIP_MS = 260_000;
/** Another one asks while it was heard within this: 2 × interval + response / 2. */
export const OTHER_QUERIER_MS = 255_000;
/** At start answers are waited for, so they shall come soon; asked twice. */
export const START_RESPONSE_MS = 1000;
export const START_AGAIN_MS = 1500;
/** By then whoever listens has answered. */
export const SETTLED_AFTER_MS = 3000;
/** After a leave: asked twice, then the group is gone. */
export const LAST_RESPONSE_MS = 1000;
export const LAST_ASKED = 2;

/** Groups of this host that are followed; with more it asks for everything. */
export const MAX_OWN_GROUPS = 512;
/** Of the data plane's table. */
export const MAX_GROUPS = 4096;
/** Our group record is written at once, then this often at most. */
export const GROUP_RECORD_BURST = 8;
export const GROUP_RECORDS_PER_SECOND = 0.25;

/** Ports of this host whose MACs are declared. */
export const MAX_PORTS = 4096;
/** MACs of this host that another member had, which we keep saying are here. */
export const MAX_OWN_CLAIMS = 96;
/** A member may list that many records; more of its MACs mean nothing. */
export const MAX_CLAIMS_PER_PEER = 256;
export const MAX_CLAIMS = 16_384;
/** Moves that we announce. A loop or a MAC used twice is not worth more. */
export const CLAIM_BURST = 48;
export const CLAIMS_PER_SECOND = 0.5;
/** What another took over is withdrawn when it stayed there this long. */
export const WITHDRAW_AFTER_MS = 60_000;
/** Members that a flood is copied to one by one; beyond, it goes along a tree. */
export const FLOOD_COPIES = 256;
/** Neighbours that a flood is handed to there. */
export const MAX_TREE_PEERS = 32;

/** Of the data plane's table of addresses. */
export const MAX_ADDRESSES = 65_536;
/** More of a member's mean nothing: its hosts are asked about as without records. */
export const MAX_ADDRESSES_PER_PEER = 2048;
/** Address records of ours: so many at once, then one in this time. */
export const ADDRESS_RECORD_BURST = 12;
export const ADDRESS_RECORD_EVERY_MS = 3500;
export const MAX_ADDRESS_PAGES = 64;
/** Of events about MACs: one a peer and verdict in this time. */
export const MAC_EVENT_EVERY_MS = 60_000;
