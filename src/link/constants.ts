/** Timings and bounds of a link (docs/protocol.md §2, §3, §6, §8). Milliseconds and bytes unless the name says otherwise. */

/** INIT repetitions after the first, counted from it; the attempt listens until INIT_GIVE_UP_MS. */
export const INIT_REPEATS_MS = [250, 500, 1000, 2000] as const;
export const INIT_GIVE_UP_MS = 5000;
export const RETRIES_PER_INIT = 3;
/** RESPs examined in one attempt: the initiator is an oracle for guesses too. */
export const RESPS_PER_INIT = 3;
export const FIN_REPEATS_MS = [100, 250, 500, 1000, 2000] as const;
export const FIN_GIVE_UP_MS = 3000;

export const HALF_OPEN_MAX = 1024;
export const HALF_OPEN_MS = 5000;
/** Keepalives that answer repetitions of one FIN, per second. */
export const FIN_ANSWERS_PER_SECOND = 5;

/** Failed confirms an initiator tolerates: per address and per node. */
export const GUESS_BURST_PER_ADDRESS = 5;
export const GUESS_REFILL_PER_ADDRESS = 0.2;
export const GUESS_BURST_PER_NODE = 32;
export const GUESS_REFILL_PER_NODE = 1;

export const MAX_PEERS = 4096;
/** Identities never seen before that are admitted. */
export const ADMIT_PER_SECOND = 5;
export const ADMIT_BURST = 64;

/** Two INITs are crossed when both are younger than this. */
export const CROSSED_WITHIN_MS = 5000;
/** A replaced session or phase is read this much longer. */
export const OVERLAP_MS = 15_000;

export const REKEY_AFTER_MS = 120_000;
export const REKEY_JITTER = 0.1;
/** REKEY1 repetitions; the last interval goes on until the session ends. */
export const REKEY_REPEATS_MS = [250, 500, 1000, 2000] as const;
/** Key age at which the initiator dials beside, then the responder, then the session ends. */
export const RENEW_AFTER_MS = 150_000;
export const RENEW_RESPONDER_AFTER_MS = 160_000;
export const REJECT_AFTER_MS = 180_000;

/** Gaps between attempts, counted from the last INIT; doubled each time up to a cap. */
export const DIAL_FIRST_GAP_MS = 750;
/** Cap for contacts a person named, while they were wanted for less than DIAL_EAGER_MS … */
export const DIAL_EAGER_CAP_MS = 1500;
export const DIAL_EAGER_MS = 600_000;
/** … and after that; also for peers lost less than DIAL_EAGER_MS ago. */
export const DIAL_CAP_MS = 10_000;
export const DIAL_LOST_CAP_MS = 60_000;
export const DIAL_JITTER = 0.2;
/** Attempts for one target that may listen at the same time. */
export const ATTEMPTS_PER_TARGET = 4;
export const ENDPOINTS_PER_ATTEMPT = 8;
export const MAX_TARGETS = 5000;
/** Whom this node holds to be removed, or who holds this node to be: removals last, so it is seldom worth a try. */
export const REMOVED_AGAIN_MS = 300_000;
export const RESOLVE_GIVE_UP_MS = 5000;

/** Sessions of one peer: the one in use, the one to come, and what still comes on those before. */
export const SESSIONS_PER_PEER = 4;
/** Of all peers; the data plane's table has 8192 places, some for those that come and go at once. */
export const SESSIONS_IN_ALL = 7168;
/** While all peers have so many ways, one that has two gets no more. The data plane has places for 16 384. */
export const PATHS_IN_ALL = 6144;
export const PATHS_WHEN_MANY = 2;
/** Candidates of one peer: 8 of its record, 8 of a PUNCH, relays, TCP, and where it was seen. */
export const CANDIDATES_PER_PEER = 24;
export const RECORD_ENDPOINTS_MAX = 8;
/** One round of asking a candidate, and the pause that doubles behind it up to a cap. */
export const ASK_MS = 2500;
export const ASK_FIRST_PAUSE_MS = 2500;
export const ASK_PAUSE_RELAYED_MS = 10_000;
export const ASK_PAUSE_MS = 60_000;
/** An address from which nothing authentic ever came: one PING a round, so many rounds, then one an hour. */
export const STRANGER_SPEAK_MS = 100;
export const STRANGER_ROUNDS = 3;
export const STRANGER_PAUSE_MS = 3_600_000;
/** Datagrams to such addresses, of the whole node: at most 20 in any second. */
/** INITs to endpoints of one member's record, however often it changes: eight endpoints three times, then two a minute … */
export const STRANGER_INITS_OF_OWNER = 24;
/** … and to one endpoint, whoever lists it: two such rounds. */
export const STRANGER_INITS_TO_ENDPOINT = 6;
export const STRANGER_INITS_PER_SECOND = 1 / 30;
export const STRANGER_INITS_TRACKED = 4096;
export const STRANGER_PROBES_BURST = 10;
export const STRANGER_PROBES_PER_SECOND = 10;
/** After the path in use died all others are asked, at these times and for so long. */
export const FAILOVER_ASKS_MS = [0, 100, 300] as const;
export const FAILOVER_MS = 1500;
/** PINGs of a PUNCH to one address, 200 ms apart by the clock of the path. */
export const PUNCH_PINGS = 4;
export const PUNCH_PING_EVERY_MS = 200;
/** A spare path is asked so often while the active one carries traffic. */
export const SPARE_EVERY_MS = 3000;

/** TCP is dialled too where UDP was silent for so long; the next try there comes after the pause. */
export const TCP_AFTER_MS = 2500;
export const TCP_AGAIN_MS = 10_000;
/** Stays as a standby for so long after UDP took over. */
export const TCP_IDLE_MS = 60_000;
export const TCP_SWEEP_MS = 5000;
export const TCP_PER_TARGET = 4;
export const TCP_CONNECTIONS_MAX = 64;

export const PMTU_FLOOR_BYTES = 548;
export const PMTU_START_BYTES = 1200;
export const PMTU_STEP_BYTES = 8;
export const PMTU_TRIES = 3;
export const PMTU_AGAIN_MS = 600_000;
/** After a fall, and for how long. */
export const PMTU_EAGER_AGAIN_MS = 5000;
export const PMTU_EAGER_MS = 120_000;
export const PMTU_AFTER_RECOVERY_MS = 5000;
/** After a change of the network: the way may be another one, once it has settled. */
export const PMTU_AFTER_CHANGE_MS = 1000;
/** What stands around the IP packet of a frame in a DATA datagram: header 16, inner 6, Ethernet and VLAN 18, tag 16. */
export const DATA_OVERHEAD_BYTES = 56;

export const COST_CHECK_MS = 1000;
/** One rule (§6): better by this factor and this much, for this long. */
export const SWITCH_FACTOR = 0.8;
export const SWITCH_LESS_MS = 0.5;
export const SWITCH_AFTER_MS = 5000;
export const SWITCH_HOLD_MS = 10_000;
/** A candidate nobody ever answered on is forgotten after this. */
export const CANDIDATE_SILENT_MS = 10_000;
export const DEAD_PATH_KEEP_MS = 60_000;

export const PEER_INFO_EVERY_MS = 30_000;

/** Up to so many peers each has a session with each; beyond, and until they are fewer again, sessions come on demand. */
export const FULL_MESH_PEERS = 64;
export const FULL_MESH_AGAIN_PEERS = 48;
/** Chosen by each node of a sparse mesh, so that it has about twice as many. */
export const NEIGHBOURS = 8;
/** One that is not reached within this is passed over for the next … */
export const NEIGHBOUR_TRY_MS = 15_000;
/** … for this long; the last few are tried on meanwhile, so that a mesh that was cut in two grows together. */
export const NEIGHBOUR_PASS_MS = 600_000;
export const NEIGHBOURS_PASSED = 8;
/** Without frames for this long a session is needed no more; without any frame at all, after less. */
export const APPETITE_IDLE_MS = 300_000;
export const APPETITE_UNUSED_MS = 60_000;
/** Peers that are newly dialled on demand. */
export const WANTED_PER_SECOND = 64;
export const WANTED_BURST = 64;
