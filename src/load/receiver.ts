import { timingSafeEqual } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIP, type Server, type Socket } from 'node:net';

import type { Clock } from '../base/clock.js';
import type { Timers } from '../daemon/ports.js';
import {
  ECHO_BYTES,
  PREAMBLE_BYTES,
  SECRET_BYTES,
  readDatagram,
  streamKindOf,
  type DatagramCounts,
  type StreamCounts,
} from './stream.js';

/*
 * The receiving end of one measurement: two sockets on this node's overlay address that count what comes with the right
 * token, and go away by themselves. Bounded: connections, the time one may take to show the token, bytes, echoes, and the
 * time of the whole.
 */

export interface ReceiverOptions {
  /** This node's own overlay address. */
  readonly address: string;
  /** Of each kind of load. */
  readonly seconds: number;
  readonly mbps: number;
  readonly token: Uint8Array;
  readonly proof: Uint8Array;
}

export interface Receiver {
  readonly tcp: number;
  readonly udp: number;
  /** Resolves when it is over, for whatever reason. */
  readonly closed: Promise<void>;
  close(): void;
}

const MAX_CONNECTIONS = 4;
const PREAMBLE_TIMEOUT_MS = 2000;
/** For what is neither of the two loads: echoes, connecting, telling. */
const EXTRA_MS = 15_000;
/** Nothing came for so long: the sender has gone. */
const IDLE_MS = 8000;
const MAX_ECHOES = 10_000;
/** Beyond the agreed rate: senders pace in steps. */
const TOLERANCE = 1.25;
const TOLERANCE_BYTES = 1 << 20;
const UDP_BUFFER_BYTES = 1 << 20;

/** When a receiver ends whatever comes, in ms after it was opened. */
function receiverLifeMs(seconds: number): number {
  return 2 * seconds * 1000 + EXTRA_MS;
}

/** @throws what binding the address throws; nothing is left open then */
export async function openReceiver(
  components: { readonly clock: Clock; readonly timers: Timers },
  options: ReceiverOptions,
): Promise<Receiver> {
  const receiver = new LoadReceiver(components, options);
  await receiver.open();
  return receiver;
}

class LoadReceiver implements Receiver {
  readonly closed: Promise<void>;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #options: ReceiverOptions;
  readonly #budgetBytes: number;
  readonly #server: Server;
  readonly #socket: UdpSocket;
  readonly #connections = new Set<Socket>();
  readonly #arrivals: { received: number; bytes: number; reordered: number };
  #firstMs = 0;
  #lastMs = 0;
  #highestSeq = -1;
  #echoes = 0;
  #activeMs = 0;
  #isLoading = false;
  #cancelDeadline: () => void = () => undefined;
  #onClosed: () => void = () => undefined;
  #isClosed = false;

  constructor(
    { clock, timers }: { readonly clock: Clock; readonly timers: Timers },
    options: ReceiverOptions,
  ) {
    this.#clock = clock;
    this.#timers = timers;
    this.#options = options;
    this.#budgetBytes = ((options.mbps * 1e6) / 8) * options.seconds * TOLERANCE + TOLERANCE_BYTES;
    this.#arrivals = { received: 0, bytes: 0, reordered: 0 };
    this.closed = new Promise((resolve) => (this.#onClosed = resolve));
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#accept(socket);
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    const type = isIP(options.address) === 6 ? 'udp6' : 'udp4';
    this.#socket = createSocket({ type, recvBufferSize: UDP_BUFFER_BYTES });
    this.#socket.on('message', (bytes, from) => {
      this.#onDatagram(bytes, from.address, from.port);
    });
  }

  get tcp(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get udp(): number {
    return this.#socket.address().port;
  }

  async open(): Promise<void> {
    const host = this.#options.address;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen({ host, port: 0, exclusive: true }, resolve);
      });
      await new Promise<void>((resolve, reject) => {
        this.#socket.once('error', reject);
        this.#socket.bind({ address: host, port: 0, exclusive: true }, resolve);
      });
    } catch (error) {
      this.close();
      throw error;
    }
    // What the network says of a single answer concerns nobody else.
    for (const one of [this.#server, this.#socket]) {
      one.removeAllListeners('error');
      one.on('error', () => undefined);
    }
    const endMs = this.#wasActive() + receiverLifeMs(this.#options.seconds);
    this.#watch(endMs);
  }

  /** Ends it at the latest then, and sooner when its sender has gone. */
  #watch(endMs: number): void {
    const untilMs = Math.min(endMs, this.#activeMs + IDLE_MS);
    const delayMs = Math.max(0, untilMs - this.#clock.monotonicMs());
    this.#cancelDeadline = this.#timers.set(delayMs, () => {
      const nowMs = this.#clock.monotonicMs();
      if (nowMs >= endMs || nowMs >= this.#activeMs + IDLE_MS) this.close();
      else this.#watch(endMs);
    });
  }

  #wasActive(): number {
    this.#activeMs = this.#clock.monotonicMs();
    return this.#activeMs;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelDeadline();
    for (const connection of this.#connections) connection.destroy();
    this.#server.close();
    this.#socket.close();
    this.#onClosed();
  }

  #accept(connection: Socket): void {
    this.#connections.add(connection);
    const cancel = this.#timers.set(PREAMBLE_TIMEOUT_MS, () => connection.destroy());
    connection.on('error', () => undefined);
    connection.on('close', () => {
      cancel();
      this.#connections.delete(connection);
    });
    connection.on('end', () => connection.destroy());
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk.subarray(0, PREAMBLE_BYTES + 1)]);
      if (head.length < PREAMBLE_BYTES) return;
      connection.off('data', onData);
      cancel();
      // Whoever knows the token waits for the proof before it sends more.
      const isOurs = head.length === PREAMBLE_BYTES && this.#isToken(head);
      if (isOurs) this.#serve(connection, head[SECRET_BYTES]);
      else connection.destroy();
    };
    connection.on('data', onData);
  }

  #isToken(bytes: Uint8Array): boolean {
    return timingSafeEqual(bytes.subarray(0, SECRET_BYTES), this.#options.token);
  }

  #serve(connection: Socket, code: number | undefined): void {
    const kind = streamKindOf(code);
    if (kind === undefined || (kind === 'load' && this.#isLoading)) {
      connection.destroy();
      return;
    }
    this.#wasActive();
    connection.write(this.#options.proof);
    if (kind === 'load') {
      this.#receive(connection);
      return;
    }
    tell(connection, kind === 'counts' ? this.#counts() : {});
    if (kind === 'done') connection.once('close', () => this.close());
  }

  /** Counts until the sender ends its side. */
  #receive(connection: Socket): void {
    this.#isLoading = true;
    let bytes = 0;
    let firstMs: number | undefined;
    let lastMs = 0;
    connection.removeAllListeners('end');
    connection.on('data', (chunk: Buffer) => {
      lastMs = this.#wasActive();
      firstMs ??= lastMs;
      bytes += chunk.length;
      if (bytes > this.#budgetBytes) connection.destroy();
    });
    connection.on('end', () => {
      const counts: StreamCounts = { bytes, ms: lastMs - (firstMs ?? lastMs) };
      tell(connection, counts);
    });
    connection.on('close', () => (this.#isLoading = false));
  }

  #counts(): DatagramCounts {
    return { ...this.#arrivals, ms: this.#lastMs - this.#firstMs };
  }

  #onDatagram(bytes: Uint8Array, address: string, port: number): void {
    const read = readDatagram(bytes);
    if (!read || port === 0 || !this.#isToken(bytes)) return;
    this.#wasActive();
    if (read.kind === 'echo') {
      if (bytes.length > ECHO_BYTES || ++this.#echoes > MAX_ECHOES) return;
      this.#socket.send(bytes, port, address, () => undefined);
      return;
    }
    const arrivals = this.#arrivals;
    if (arrivals.bytes > this.#budgetBytes) return;
    this.#lastMs = this.#activeMs;
    if (arrivals.received === 0) this.#firstMs = this.#lastMs;
    arrivals.received += 1;
    arrivals.bytes += bytes.length;
    if (read.seq < this.#highestSeq) arrivals.reordered += 1;
    else this.#highestSeq = read.seq;
  }
}

function tell(connection: Socket, document: object): void {
  connection.end(`${JSON.stringify(document)}\n`);
}
