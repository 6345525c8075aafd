/** Where names live unless `--dns-domain` says otherwise. `internal` is set aside for private use (ICANN, 2024). */
export const DEFAULT_DOMAIN = 'overlay.internal';
export const DNS_PORT = 53;
/** A name goes with its attachment, so nobody may remember it for longer. */
export const TTL_SECONDS = 1;

/** UDP without EDNS0 (RFC 1035 §4.2.1). */
export const PLAIN_UDP_BYTES = 512;
/** Largest UDP answer, and what we announce by EDNS0: fits every path of 1 280 bytes (DNS flag day 2020). */
export const MAX_UDP_BYTES = 1232;
export const MAX_TCP_BYTES = 65_535;
/**
 * Addresses of one name, or names of one address, that an answer is made of: members may state hundreds of thousands,
 * and each query would look at all of them. An answer by UDP has room for 75.
 */
export const MAX_TARGETS_READ = 1024;
/** Longest query read by TCP; real ones have a few hundred bytes. */
export const MAX_QUERY_BYTES = 4096;

/** Queries one client address may ask in a second; those beyond are dropped and counted. */
export const CLIENT_QUERIES_PER_SECOND = 5000;
/** Client addresses counted apart in a second; all others share one count. */
export const MAX_COUNTED_CLIENTS = 4096;

export const MAX_TCP_CONNECTIONS = 128;
export const MAX_TCP_CONNECTIONS_PER_CLIENT = 16;
/** Queries of one connection under way; reading stops there. */
export const MAX_TCP_PIPELINED = 16;
/** Time for a connection to bring its next whole query. */
export const TCP_IDLE_MS = 10_000;
/** Answers waiting in a connection that does not read. */
export const MAX_TCP_BACKLOG_BYTES = 2 * MAX_TCP_BYTES;

/** Queries under way to upstream servers, in total and for one client. */
export const MAX_FORWARDED = 256;
export const MAX_FORWARDED_PER_CLIENT = 64;
/** How long one upstream server may take before the next one is asked. */
export const UPSTREAM_TIMEOUT_MS = 2000;
/** A datagram may be lost: it is sent once more after this. */
export const UPSTREAM_RESEND_MS = 900;
/** A server that did not answer is asked after the others for so long. */
export const UPSTREAM_PENALTY_MS = 10_000;
/** Datagrams that do not fit the question, after which a socket counts as attacked and is given up. */
export const MAX_WRONG_REPLIES = 16;
export const MAX_UPSTREAMS = 8;
/** A change of resolv.conf is noticed by the first query after this. */
export const RESOLV_CONF_CHECK_MS = 1000;
