import type { Socket } from 'node:net';

import type { Timers } from '../daemon/ports.js';
import {
  MAX_QUERY_BYTES,
  MAX_TCP_BACKLOG_BYTES,
  MAX_TCP_CONNECTIONS,
  MAX_TCP_CONNECTIONS_PER_CLIENT,
  MAX_TCP_PIPELINED,
  TCP_IDLE_MS,
} from './constants.js';
import { LengthPrefixed, withLength } from './stream.js';

/** Now, later, or never. */
export type Answer = Uint8Array | Promise<Uint8Array> | undefined;

export interface TcpClient {
  readonly address: string;
  readonly port: number;
}

export type AnswerQuery = (bytes: Uint8Array, client: TcpClient) => Answer;

/**
 * The connections of one listener. Each answers queries as they come, in the order in which answers are ready (RFC 7766
 * §6.2.1.1), and is closed when it brings no whole query in time: byte by byte does not count.
 */
export class TcpClients {
  readonly #timers: Timers;
  readonly #sockets = new Set<Socket>();
  readonly #countByAddress = new Map<string, number>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  accept(socket: Socket, answer: AnswerQuery): void {
    const address = socket.remoteAddress;
    const mine = this.#countByAddress.get(address ?? '') ?? 0;
    const isFull =
      this.#sockets.size >= MAX_TCP_CONNECTIONS || mine >= MAX_TCP_CONNECTIONS_PER_CLIENT;
    socket.on('error', () => socket.destroy());
    if (address === undefined || isFull) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    this.#countByAddress.set(address, mine + 1);
    const cancelIdle = this.#serve(socket, { address, port: socket.remotePort ?? 0 }, answer);
    socket.once('close', () => {
      cancelIdle();
      this.#sockets.delete(socket);
      const left = (this.#countByAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#countByAddress.set(address, left);
      else this.#countByAddress.delete(address);
    });
  }

  /** Ends all connections at once. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** @returns what ends the idle timer */
  #serve(socket: Socket, client: TcpClient, answer: AnswerQuery): () => void {
    const messages = new LengthPrefixed();
    let running = 0;
    let hasEnded = false;
    const startIdle = (): (() => void) => this.#timers.set(TCP_IDLE_MS, () => socket.destroy());
    let cancelIdle = startIdle();
    const send = (reply: Uint8Array): void => {
      if (socket.destroyed) return;
      socket.write(withLength(reply));
      if (socket.writableLength > MAX_TCP_BACKLOG_BYTES) socket.destroy();
    };
    const readOn = (): void => {
      while (running < MAX_TCP_PIPELINED && !socket.destroyed) {
        if (messages.announcedBytes > MAX_QUERY_BYTES) {
          socket.destroy();
          return;
        }
        const message = messages.next();
        if (message === undefined) {
          socket.resume();
          return;
        }
        cancelIdle();
        cancelIdle = startIdle();
        const reply = answer(message, client);
        if (reply instanceof Uint8Array) {
          send(reply);
        } else if (reply !== undefined) {
          running += 1;
          void reply.then(send).finally(() => {
            running -= 1;
            readOn();
            endIfDone();
          });
        } else {
          // Who sends what deserves no answer is not heard further.
          socket.destroy();
        }
      }
      if (!socket.destroyed) socket.pause();
    };
    // A client that has no more to ask still wants its answers.
    const endIfDone = (): void => {
      if (hasEnded && running === 0) socket.end();
    };
    socket.on('end', () => {
      hasEnded = true;
      endIfDone();
    });
    socket.on('data', (chunk) => {
      messages.push(chunk);
      readOn();
    });
    return () => cancelIdle();
  }
}
