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

export function exchangeByUdp(
  query: Uint8Array,
  questionEnd: number,
  upstream: Upstream,
  components: ExchangeComponents,
): Exchange {
  const { promise, resolve } = makePromise<Uint8Array | undefined>();
  const sent = underRandomId(query, components.rng);
  const socket = createSocket({
    type: isIP(upstream.address) === 6 ? 'udp6' : 'udp4',
    lookup: literalOnly,
  });
  let isOpen = true;
  let isConnected = false;
  let wrongReplies = 0;
  let forget = (): void => undefined;
  const finish = (reply?: Uint8Array): void => {
    if (!isOpen) return;
    isOpen = false;
    cancelTimeout();
    cancelResend();
    forget();
    socket.close();
    resolve(reply);
  };
  const send = (): void => socket.send(sent, () => undefined);
  const cancelTimeout = components.timers.set(UPSTREAM_TIMEOUT_MS, () => finish());
  const cancelResend = components.timers.set(UPSTREAM_RESEND_MS, () => {
    if (isConnected) send();
  });
  // Unreachable, or nobody listens: the kernel heard it by ICMP.
  socket.on('error', () => finish());
  socket.on('message', (reply) => {
    if (isReplyTo(sent, questionEnd, reply)) finish(reply);
    else if ((wrongReplies += 1) >= MAX_WRONG_REPLIES) finish();
  });
  socket.once('connect', () => {
    if (!isOpen) return;
    isConnected = true;
    const local = socket.address();
    forget = components.onSocket(clientKey(local.address, local.port));
    send();
  });
  socket.connect(upstream.port, upstream.address);
  return { reply: promise, abort: () => finish() };
}

export function exchangeByTcp(
  query: Uint8Array,
  questionEnd: number,
  upstream: Upstream,
  components: ExchangeComponents,
): Exchange {
  const { promise, resolve } = makePromise<Uint8Array | undefined>();
  const sent = underRandomId(query, components.rng);
  const messages = new LengthPrefixed();
  const socket = connect(upstream.port, upstream.address);
  let isOpen = true;
  let forget = (): void => undefined;
  const finish = (reply?: Uint8Array): void => {
    if (!isOpen) return;
    isOpen = false;
    cancelTimeout();
    forget();
    socket.destroy();
    resolve(reply);
  };
  const cancelTimeout = components.timers.set(UPSTREAM_TIMEOUT_MS, () => finish());
  socket.on('error', () => finish());
  socket.on('close', () => finish());
  socket.once('connect', () => {
    forget = components.onSocket(clientKey(socket.localAddress ?? '', socket.localPort ?? 0));
    socket.write(withLength(sent));
  });
  socket.on('data', (chunk) => {
    messages.push(chunk);
    const reply = messages.next();
    if (reply === undefined) return;
    finish(isReplyTo(sent, questionEnd, reply) ? reply : undefined);
  });
  return { reply: promise, abort: () => finish() };
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

function makePromise<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
