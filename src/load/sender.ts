import { timingSafeEqual } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIP, type Socket } from 'node:net';

import { OverlayError } from '../base/errors.js';
import {
  LOAD_DATAGRAM_BYTES,
  SECRET_BYTES,
  datagram,
  preamble,
  readDatagram,
  type DatagramCounts,
  type StreamCounts,
  type StreamKind,
} from './stream.js';

/*
 * The sending end of one measurement, on the overlay addresses of two nodes: echoes on the idle path, a TCP load with
 * echoes beside it, a UDP load at half of what TCP reached. All of it is paced, and every wait has an end.
 */

export interface LoadOffer {
  /** This node's own overlay address. */
  readonly from: string;
  /** The peer's. */
  readonly address: string;
  readonly tcp: number;
  readonly udp: number;
  readonly token: Uint8Array;
  readonly proof: Uint8Array;
  /** Of each kind of load. */
  readonly seconds: number;
  /** 10^6 bits a second at most. */
  readonly mbps: number;
}

export interface LoadTime {
  readonly monotonicMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Milliseconds; null: nothing came back. */
export interface RoundTrips {
  readonly medianMs: number | null;
  readonly p99Ms: number | null;
  readonly lossPct: number;
}

export interface LoadResult {
  readonly idle: RoundTrips;
  /** Beside the TCP load. */
  readonly loaded: RoundTrips;
  readonly tcp: { readonly mbps: number; readonly bytes: number };
  readonly udp: {
    readonly offeredMbps: number;
    readonly deliveredMbps: number;
    readonly lossPct: number;
    readonly reordered: number;
    readonly datagrams: number;
  };
}

const CONNECT_TIMEOUT_MS = 3000;
/** A load that does not move for so long, or an answer that does not come: the peer has gone. */
const SILENCE_MS = 4000;
const IDLE_ECHOES = 50;
const ECHO_EVERY_MS = 20;
/** An echo that takes longer is lost. */
const ECHO_PATIENCE_MS = 1000;
const CHUNK_BYTES = 64 * 1024;
const UDP_SHARE = 0.5;
/** JavaScript sends no more datagrams than this steadily. */
const MAX_UDP_MBPS = 200;
const UDP_STEP_MS = 2;
const MAX_BURST = 64;
const MAX_ANSWER_BYTES = 4096;

/** @throws OVL_BENCH_BROKEN when the peer or the path goes away */
export async function measureLoad(offer: LoadOffer, time: LoadTime): Promise<LoadResult> {
  const echoes = await Echoes.open(offer, time);
  try {
    await echoes.run((sent) => sent < IDLE_ECHOES);
    await time.sleep(ECHO_EVERY_MS);
    const idle = await echoes.take();
    if (idle.medianMs === null) {
      throw broken(offer, 'no echo came back from', 'Is UDP filtered inside the overlay?');
    }
    let isLoading = true;
    const beside = echoes.run(() => isLoading);
    let counts: StreamCounts;
    try {
      counts = await sendStream(offer, time);
    } finally {
      isLoading = false;
      await beside;
    }
    const loaded = await echoes.take();
    const tcpMbps = rate(counts.bytes, counts.ms);
    const udp = await sendDatagrams(offer, echoes, tcpMbps * UDP_SHARE, time);
    await ask(offer, 'done');
    return { idle, loaded, tcp: { mbps: tcpMbps, bytes: counts.bytes }, udp };
  } finally {
    echoes.close();
  }
}

/** Mb/s of so many bytes in so many ms. */
function rate(bytes: number, ms: number): number {
  return ms > 0 ? (bytes * 8) / ms / 1000 : 0;
}

/** One UDP socket, also for the load: requests that come back by themselves, timed here. */
class Echoes {
  readonly #socket: UdpSocket;
  readonly #offer: LoadOffer;
  readonly #time: LoadTime;
  readonly #answered = new Map<number, number>();
  #sent = 0;
  #from = 0;

  private constructor(socket: UdpSocket, offer: LoadOffer, time: LoadTime) {
    this.#socket = socket;
    this.#offer = offer;
    this.#time = time;
    socket.on('error', () => undefined);
    socket.on('message', (bytes) => {
      const read = readDatagram(bytes);
      const isOurs = bytes.length >= SECRET_BYTES && isEqual(bytes.subarray(0, 16), offer.token);
      if (read?.kind !== 'echo' || !isOurs || read.seq < this.#from || read.seq >= this.#sent)
        return;
      const tookMs = time.monotonicMs() - read.sentMs;
      if (!this.#answered.has(read.seq) && tookMs >= 0) this.#answered.set(read.seq, tookMs);
    });
  }

  static async open(offer: LoadOffer, time: LoadTime): Promise<Echoes> {
    const socket = createSocket(isIP(offer.address) === 6 ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind({ address: offer.from, port: 0 }, () => {
          socket.connect(offer.udp, offer.address, () => resolve());
        });
      });
    } catch (error) {
      socket.close();
      throw localFailure(offer, error);
    }
    socket.removeAllListeners('error');
    return new Echoes(socket, offer, time);
  }

  /** One request every 20 ms while that is wanted. */
  async run(isWanted: (sent: number) => boolean): Promise<void> {
    for (let sent = 0; isWanted(sent); sent++) {
      const { token } = this.#offer;
      this.send(datagram(token, 'echo', this.#sent++, this.#time.monotonicMs()));
      await this.#time.sleep(ECHO_EVERY_MS);
    }
  }

  /** Of the requests since the last call, once those under way had their time. */
  async take(): Promise<RoundTrips> {
    const sent = this.#sent - this.#from;
    const endMs = this.#time.monotonicMs() + ECHO_PATIENCE_MS;
    while (this.#answered.size < sent && this.#time.monotonicMs() < endMs) {
      await this.#time.sleep(ECHO_EVERY_MS);
    }
    const times = [...this.#answered.values()].sort((a, b) => a - b);
    this.#answered.clear();
    this.#from = this.#sent;
    const at = (part: number): number | null =>
      times[Math.max(0, Math.ceil(times.length * part) - 1)] ?? null;
    const lossPct = sent === 0 ? 0 : (100 * (sent - times.length)) / sent;
    return { medianMs: at(0.5), p99Ms: at(0.99), lossPct };
  }

  /** What the socket cannot take is lost, as on the way. */
  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, () => undefined);
  }

  close(): void {
    this.#socket.close();
  }
}

/** Fills the path for the agreed seconds, never above the agreed rate. */
async function sendStream(offer: LoadOffer, time: LoadTime): Promise<StreamCounts> {
  const line = await Line.open(offer, 'load');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const bytesPerMs = (offer.mbps * 1e6) / 8 / 1000;
    const startMs = time.monotonicMs();
    const endMs = startMs + offer.seconds * 1000;
    let sent = 0;
    for (let nowMs = startMs; nowMs < endMs; nowMs = time.monotonicMs()) {
      const aheadMs = sent / bytesPerMs - (nowMs - startMs);
      if (aheadMs > 1) await time.sleep(Math.min(aheadMs, endMs - nowMs));
      else {
        await line.write(chunk);
        sent += chunk.length;
      }
    }
    return parseCounts(offer, await line.finish(), ['bytes', 'ms']);
  } finally {
    line.close();
  }
}

async function sendDatagrams(
  offer: LoadOffer,
  echoes: Echoes,
  wantedMbps: number,
  time: LoadTime,
): Promise<LoadResult['udp']> {
  const mbps = Math.min(offer.mbps, MAX_UDP_MBPS, Math.max(0.1, wantedMbps));
  const perMs = (mbps * 1e6) / 8 / 1000 / LOAD_DATAGRAM_BYTES;
  const startMs = time.monotonicMs();
  const endMs = startMs + offer.seconds * 1000;
  let sent = 0;
  for (let nowMs = startMs; nowMs < endMs; nowMs = time.monotonicMs()) {
    const due = Math.min(Math.floor((nowMs - startMs) * perMs) - sent, MAX_BURST);
    for (let i = 0; i < due; i++) {
      echoes.send(datagram(offer.token, 'load', sent++, nowMs));
    }
    await time.sleep(UDP_STEP_MS);
  }
  const tookMs = time.monotonicMs() - startMs;
  await time.sleep(ECHO_PATIENCE_MS / 4);
  const counts: DatagramCounts = parseCounts(offer, await ask(offer, 'counts'), [
    ...(['received', 'bytes', 'reordered', 'ms'] as const),
  ]);
  return {
    offeredMbps: rate(sent * LOAD_DATAGRAM_BYTES, tookMs),
    deliveredMbps: rate(counts.bytes, Math.max(counts.ms, tookMs)),
    lossPct: sent === 0 ? 0 : (100 * Math.max(0, sent - counts.received)) / sent,
    reordered: counts.reordered,
    datagrams: sent,
  };
}

async function ask(offer: LoadOffer, kind: Exclude<StreamKind, 'load'>): Promise<string> {
  const line = await Line.open(offer, kind);
  try {
    return await line.finish();
  } finally {
    line.close();
  }
}

/** A TCP connection whose other end has shown the proof. */
class Line {
  readonly #socket: Socket;
  readonly #offer: LoadOffer;
  #text = '';
  #failure: OverlayError | undefined;
  #wake: () => void = () => undefined;
  #hasEnded = false;

  private constructor(socket: Socket, offer: LoadOffer) {
    this.#socket = socket;
    this.#offer = offer;
    socket.setTimeout(SILENCE_MS, () => this.#fail(`nothing moved for ${SILENCE_MS / 1000} s to`));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#fail(`the connection broke (${error.code ?? error.message}) to`),
    );
    socket.on('drain', () => this.#wake());
    socket.on('close', () => {
      if (!this.#hasEnded) this.#fail('the connection was closed by');
    });
  }

  static async open(offer: LoadOffer, kind: StreamKind): Promise<Line> {
    const socket = connect({ host: offer.address, port: offer.tcp, localAddress: offer.from });
    try {
      await shaken(socket, offer, kind);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    const line = new Line(socket, offer);
    line.#listen();
    return line;
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      if (this.#text.length > MAX_ANSWER_BYTES) this.#fail('too long an answer came from');
    });
    this.#socket.on('end', () => {
      this.#hasEnded = true;
      this.#wake();
    });
    this.#socket.resume();
  }

  async write(chunk: Buffer): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#hasEnded) throw broken(this.#offer, 'the load was cut short by');
    if (this.#socket.write(chunk)) return;
    await this.#woken();
  }

  /** Ends our side; gives what the other one says then. */
  async finish(): Promise<string> {
    this.#socket.end();
    while (!this.#hasEnded) await this.#woken();
    return this.#text;
  }

  close(): void {
    this.#hasEnded = true;
    this.#socket.destroy();
  }

  async #woken(): Promise<void> {
    if (!this.#failure) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure) throw this.#failure;
  }

  #fail(what: string): void {
    this.#failure ??= broken(this.#offer, what);
    this.#socket.destroy();
    this.#wake();
  }
}

/** Connects, shows the token, wants the proof: then it is the peer, whoever else may answer on that address. */
function shaken(socket: Socket, offer: LoadOffer, kind: StreamKind): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => reject(broken(offer, what));
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail('no connection came about to'));
    socket.once('error', (error) => reject(localFailure(offer, error)));
    socket.once('close', () => fail('the connection was closed by'));
    socket.once('connect', () => socket.write(preamble(offer.token, kind)));
    let head = Buffer.alloc(0);
    const onReadable = (): void => {
      const wanted = SECRET_BYTES - head.length;
      const chunk = socket.read(Math.min(wanted, socket.readableLength)) as Buffer | null;
      if (chunk === null) return;
      head = Buffer.concat([head, chunk]);
      if (head.length < SECRET_BYTES) return;
      for (const name of ['readable', 'error', 'close', 'timeout']) {
        socket.removeAllListeners(name);
      }
      if (isEqual(head, offer.proof)) resolve();
      else fail('another program answered in place of');
    };
    socket.on('readable', onReadable);
  });
}

function parseCounts<Key extends string>(
  offer: LoadOffer,
  text: string,
  keys: readonly Key[],
): Readonly<Record<Key, number>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const found = Object.fromEntries(
    keys.map((key) => [key, (value as Record<string, unknown> | undefined)?.[key]]),
  );
  const isGood = Object.values(found).every(
    (one) => typeof one === 'number' && Number.isFinite(one) && one >= 0,
  );
  if (!isGood) throw broken(offer, 'no counts came from');
  return found as Record<Key, number>;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function localFailure(offer: LoadOffer, error: unknown): OverlayError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  if (code !== 'EADDRNOTAVAIL') return broken(offer, `the connection broke (${code}) to`);
  return new OverlayError('OVL_BENCH_BROKEN', `This host has no address ${offer.from}`, {
    value: offer.from,
    cure: 'Run overlayctl in the network namespace in which overlayd runs.',
  });
}

const TRY_AGAIN = "See 'overlayctl peers' and 'overlayctl events' of both nodes, and try again.";

function broken({ address }: LoadOffer, what: string, cure = TRY_AGAIN): OverlayError {
  return new OverlayError('OVL_BENCH_BROKEN', `The measurement ended early: ${what} ${address}`, {
    value: address,
    cure,
  });
}
