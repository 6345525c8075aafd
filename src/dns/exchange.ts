import { createSocket, type SocketOptions } from 'node:dgram';
import { connect, isIP } from 'node:net';

import type { Rng } from '../base/rng.js';
import type { Timers } from '../daemon/ports.js';
import { MAX_WRONG_REPLIES, UPSTREAM_RESEND_MS, UPSTREAM_TIMEOUT_MS } from './constants.js';
import { FLAG, HEADER_BYTES, RCODE, RCODE_MASK, setU16, u16 } from './query.js';
import { LengthPrefixed, withLength } from './stream.js';
import type { Upstream } from './upstreams.js';

/*
 * One question to one upstream server. Each goes out of a socket of its own, whose port the kernel chooses, under a
 * random id: 32 bits that a forger off the path has to guess. The sockets are connected, so the kernel lets in only
 * what comes from the server, and tells at once when nobody listens there.
 */

export interface Exchange {
  /** The server's answer under our id, or undefined: none in time, unreachable, or aborted. */
  readonly reply: Promise<Uint8Array | undefined>;
  /** Closes the socket; the reply is undefined then. */
  abort(): void;
}

export interface ExchangeComponents {
  readonly rng: Rng;
  readonly timers: Timers;
  /** Told the local end of each socket, as `clientKey` writes it; returns what to call when it is closed. */
  readonly onSocket: (key: string) => () => void;
}

/** `questionEnd`: where the query's question ends. */
export type ExchangeBy = (
  query: Uint8Array,
  questionEnd: number,
  upstream: Upstream,
  components: ExchangeComponents,
) => Exchange;

/** For UDP sockets, which else look up even literal addresses, and later than now. */
export const literalOnly: NonNullable<SocketOptions['lookup']> = (address, _options, callback) => {
  callback(null, address, isIP(address));
};

/** A socket's end as one text. */
export function clientKey(address: string, port: number): string {
  return `${address} ${port}`;
}

/** The query under another id, and the id. */
function underRandomId(query: Uint8Array, rng: Rng): Uint8Array {
  const out = Uint8Array.from(query);
  out.set(rng.bytes(2));
  return out;
}

export const exchangeByUdp: ExchangeBy = (query, questionEnd, upstream, components) => {
  const exchange = new OpenExchange(components.timers);
  const sent = underRandomId(query, components.rng);
  const socket = createSocket({
    type: isIP(upstream.address) === 6 ? 'udp6' : 'udp4',
    lookup: literalOnly,
  });
  let isConnected = false;
  let wrongReplies = 0;
  const send = (): void => socket.send(sent, () => undefined);
  const cancelResend = components.timers.set(UPSTREAM_RESEND_MS, () => {
    if (isConnected) send();
  });
  exchange.atEnd(() => {
    cancelResend();
    socket.close();
  });
  // Unreachable, or nobody listens: the kernel heard it by ICMP.
  socket.on('error', () => exchange.finish());
  socket.on('message', (reply) => {
    if (isReplyTo(sent, questionEnd, reply)) exchange.finish(reply);
    else if ((wrongReplies += 1) >= MAX_WRONG_REPLIES) exchange.finish();
  });
  socket.once('connect', () => {
    if (!exchange.isOpen) return;
    isConnected = true;
    const local = socket.address();
    exchange.atEnd(components.onSocket(clientKey(local.address, local.port)));
    send();
  });
  socket.connect(upstream.port, upstream.address);
  return exchange;
};

export const exchangeByTcp: ExchangeBy = (query, questionEnd, upstream, components) => {
  const exchange = new OpenExchange(components.timers);
  const sent = underRandomId(query, components.rng);
  const messages = new LengthPrefixed();
  const socket = connect(upstream.port, upstream.address);
  exchange.atEnd(() => socket.destroy());
  socket.on('error', () => exchange.finish());
  socket.on('close', () => exchange.finish());
  socket.once('connect', () => {
    const local = clientKey(socket.localAddress ?? '', socket.localPort ?? 0);
    exchange.atEnd(components.onSocket(local));
    socket.write(withLength(sent));
  });
  socket.on('data', (chunk) => {
    messages.push(chunk);
    const reply = messages.next();
    if (reply === undefined) return;
    exchange.finish(isReplyTo(sent, questionEnd, reply) ? reply : undefined);
  });
  return exchange;
};

/** Ends once: with a reply, by an abort, or when time is up. What was opened for it is closed then, newest first. */
class OpenExchange implements Exchange {
  readonly reply: Promise<Uint8Array | undefined>;
  readonly #closers: (() => void)[] = [];
  #resolve: ((reply: Uint8Array | undefined) => void) | undefined;

  constructor(timers: Timers) {
    this.reply = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.atEnd(timers.set(UPSTREAM_TIMEOUT_MS, () => this.finish()));
  }

  get isOpen(): boolean {
    return this.#resolve !== undefined;
  }

  /** Only while it is open. */
  atEnd(close: () => void): void {
    this.#closers.push(close);
  }

  finish(reply?: Uint8Array): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    for (const close of this.#closers.reverse()) close();
    resolve(reply);
  }

  abort(): void {
    this.finish();
  }
}

/** Same id, a response, and the same question, or none with a refusal (as some servers send it). */
function isReplyTo(sent: Uint8Array, questionEnd: number, reply: Uint8Array): boolean {
  if (reply.length < HEADER_BYTES || u16(reply, 0) !== u16(sent, 0)) return false;
  const flags = u16(reply, 2);
  if ((flags & FLAG.qr) === 0) return false;
  const questions = u16(reply, 4);
  if (questions === 0) return (flags & RCODE_MASK) !== RCODE.noError;
  if (questions !== 1 || reply.length < questionEnd) return false;
  for (let i = HEADER_BYTES; i < questionEnd; i += 1) {
    if (lowerCase(sent[i] ?? 0) !== lowerCase(reply[i] ?? 0)) return false;
  }
  return true;
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** The reply as the client expects it: under its own id. */
export function underIdOf(query: Uint8Array, reply: Uint8Array): Uint8Array {
  setU16(reply, 0, u16(query, 0));
  return reply;
}
