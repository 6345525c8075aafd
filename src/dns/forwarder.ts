import type { Clock } from '../base/clock.js';
import type { Rng } from '../base/rng.js';
import type { Timers } from '../daemon/ports.js';
import { failureReply, replyLimit, truncatedReply, type Transport } from './answer.js';
import { MAX_FORWARDED, MAX_FORWARDED_PER_CLIENT, UPSTREAM_PENALTY_MS } from './constants.js';
import {
  exchangeByTcp,
  exchangeByUdp,
  underIdOf,
  type Exchange,
  type ExchangeBy,
} from './exchange.js';
import { FLAG, RCODE, RCODE_MASK, u16, type Query } from './query.js';
import type { Upstream } from './upstreams.js';

export interface ForwarderComponents {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly timers: Timers;
  /** Asked anew for every query. */
  readonly upstreams: () => readonly Upstream[];
}

/** A client's query about a name that is not ours. */
export interface ForwardedQuery {
  readonly bytes: Uint8Array;
  readonly query: Query;
  readonly transport: Transport;
  /** Address of the client. */
  readonly client: string;
}

/**
 * Passes queries on to the upstream servers, as they are, and their answers back. One server after the other, those
 * that lately did not answer last; a cut answer is asked for again by TCP if the client can take the whole. Bounded in
 * total and per client, which also ends what goes in circles through a server that asks us.
 */
export class Forwarder {
  readonly #components: ForwarderComponents;
  readonly #running = new Set<Exchange>();
  /** Local ends of the sockets that ask (clientKey). */
  readonly #sockets = new Set<string>();
  readonly #countByClient = new Map<string, number>();
  readonly #penaltyEndMs = new Map<string, number>();
  #count = 0;
  #isStopped = false;

  constructor(components: ForwarderComponents) {
    this.#components = components;
  }

  /** Queries under way. */
  get count(): number {
    return this.#count;
  }

  /** Whether what comes from there is a query of ours, brought back to us by a redirection. */
  isOwnSocket(key: string): boolean {
    return this.#sockets.has(key);
  }

  /** The answer for the client: an upstream server's, or one that says it failed. Never rejects. */
  async forward(forwarded: ForwardedQuery): Promise<Uint8Array> {
    const upstreams = this.#inOrder();
    if (upstreams.length === 0) return fail(forwarded, RCODE.refused);
    const mine = this.#countByClient.get(forwarded.client) ?? 0;
    if (this.#isStopped || this.#count >= MAX_FORWARDED || mine >= MAX_FORWARDED_PER_CLIENT) {
      return fail(forwarded, RCODE.servFail);
    }
    this.#count += 1;
    this.#countByClient.set(forwarded.client, mine + 1);
    try {
      return (await this.#askAll(upstreams, forwarded)) ?? fail(forwarded, RCODE.servFail);
    } finally {
      this.#count -= 1;
      const left = (this.#countByClient.get(forwarded.client) ?? 1) - 1;
      if (left > 0) this.#countByClient.set(forwarded.client, left);
      else this.#countByClient.delete(forwarded.client);
    }
  }

  /** Ends what is under way: each is answered as failed. */
  stop(): void {
    this.#isStopped = true;
    for (const exchange of this.#running) exchange.abort();
  }

  async #askAll(
    upstreams: readonly Upstream[],
    forwarded: ForwardedQuery,
  ): Promise<Uint8Array | undefined> {
    let lastResort: Uint8Array | undefined;
    for (const upstream of upstreams) {
      const reply = await this.#ask(upstream, forwarded);
      if (this.#isStopped) return undefined;
      if (reply === undefined) {
        this.#punish(upstream);
        continue;
      }
      this.#penaltyEndMs.delete(keyOf(upstream));
      const forClient = underIdOf(forwarded.bytes, reply);
      if (!isUnhelpful(reply)) return forClient;
      lastResort ??= forClient;
    }
    return lastResort;
  }

  async #ask(upstream: Upstream, forwarded: ForwardedQuery): Promise<Uint8Array | undefined> {
    const { bytes, query, transport } = forwarded;
    const reply = await this.#run(exchangeByUdp, upstream, forwarded);
    if (reply === undefined || this.#isStopped) return reply;
    if (transport === 'udp') {
      return reply.length <= replyLimit(query, 'udp') ? reply : truncatedReply(bytes, query);
    }
    if ((u16(reply, 2) & FLAG.tc) === 0) return reply;
    // A server without TCP leaves us the part.
    return (await this.#run(exchangeByTcp, upstream, forwarded)) ?? reply;
  }

  async #run(
    start: ExchangeBy,
    upstream: Upstream,
    { bytes, query }: ForwardedQuery,
  ): Promise<Uint8Array | undefined> {
    const exchange = start(bytes, query.questionEnd, upstream, {
      ...this.#components,
      onSocket: (key) => {
        this.#sockets.add(key);
        return () => this.#sockets.delete(key);
      },
    });
    this.#running.add(exchange);
    const reply = await exchange.reply;
    this.#running.delete(exchange);
    return reply;
  }

  #inOrder(): readonly Upstream[] {
    const upstreams = this.#components.upstreams();
    if (this.#penaltyEndMs.size === 0) return upstreams;
    const nowMs = this.#components.clock.monotonicMs();
    for (const [key, endMs] of this.#penaltyEndMs) {
      if (endMs <= nowMs) this.#penaltyEndMs.delete(key);
    }
    const isPunished = (upstream: Upstream): boolean => this.#penaltyEndMs.has(keyOf(upstream));
    return [...upstreams.filter((one) => !isPunished(one)), ...upstreams.filter(isPunished)];
  }

  #punish(upstream: Upstream): void {
    const endMs = this.#components.clock.monotonicMs() + UPSTREAM_PENALTY_MS;
    this.#penaltyEndMs.set(keyOf(upstream), endMs);
  }
}

function keyOf(upstream: Upstream): string {
  return `${upstream.address} ${upstream.port}`;
}

/** Another server may know better. */
function isUnhelpful(reply: Uint8Array): boolean {
  const rcode = u16(reply, 2) & RCODE_MASK;
  return rcode === RCODE.servFail || rcode === RCODE.refused || rcode === RCODE.notImp;
}

function fail({ bytes, query, transport }: ForwardedQuery, rcode: 2 | 5): Uint8Array {
  return failureReply(bytes, query, transport, rcode);
}
