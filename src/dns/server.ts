import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIP, type Server } from 'node:net';

import type { Clock } from '../base/clock.js';
import { OverlayError } from '../base/errors.js';
import type { Timers } from '../daemon/ports.js';
import { failureReply, type Responder, type Transport } from './answer.js';
import { ClientRate } from './client-rate.js';
import { clientKey, literalOnly } from './exchange.js';
import type { Forwarder } from './forwarder.js';
import { RCODE } from './query.js';
import { TcpClients, type Answer } from './tcp-clients.js';

/** Asked of the kernel, which gives what its limit allows: queries wait there while JavaScript is busy elsewhere. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** An address on which the names of one network are answered. */
export interface DnsBinding {
  readonly network: number;
  /**
   * On the network's bridge, or loopback. A link-local IPv6 address with its scope: `fe80::1%overlay0`. Linux takes a
   * datagram for any of its other addresses on every interface: without a device, another network's guest may ask
   * there, too.
   */
  readonly address: string;
  /** Only what comes in there is heard. */
  readonly device?: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface DnsCounters {
  /** Queries read, those dropped included. */
  queries: number;
  forwarded: number;
  /** Too short, or no query at all. */
  malformed: number;
  /** Beyond what one client may ask in a second. */
  rateLimited: number;
  /** About others' names, by who is none of this host. */
  refused: number;
  /** Our own queries to upstream servers that came back to us. */
  looped: number;
}

export interface DnsServerComponents {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly responder: Responder;
  readonly forwarder: Forwarder;
  /** Further networks whose names a client of a network may hear, by its bare address. None but where it is sure who asks. */
  readonly alsoOf?: (network: number, client: string) => readonly number[];
  /** Whether names that are not ours are asked for on behalf of a client of a network, by its bare address. Without: of all. */
  readonly mayForward?: (network: number, client: string) => boolean;
  /** For bindings with a device (daemon/os-port.ts). */
  readonly openBoundSocket?: OpenBoundSocket;
}

/** A bound socket that hears one device only; its descriptor. @throws an error with `code` */
type OpenBoundSocket = (
  transport: Transport,
  device: string,
  address: string,
  port: number,
) => number;

interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Answers DNS by UDP and TCP on the addresses it is given, each for one network. Everything a client can make grow is
 * bounded (constants.ts).
 */
export class DnsServer {
  readonly #components: DnsServerComponents;
  readonly #rate = new ClientRate();
  /** By binding. Opening and closing the same one wait for each other. */
  readonly #listeners = new Map<string, Promise<Listener>>();
  readonly #addresses = new Map<string, string>();
  readonly #counters: DnsCounters = {
    queries: 0,
    forwarded: 0,
    malformed: 0,
    rateLimited: 0,
    refused: 0,
    looped: 0,
  };

  constructor(components: DnsServerComponents) {
    this.#components = components;
  }

  get counters(): Readonly<DnsCounters> {
    return { ...this.#counters };
  }

  /** Whether we answer on an address, which is then no upstream server. */
  answersOn(address: string): boolean {
    return [...this.#addresses.values()].includes(address);
  }

  /**
   * Begins to answer; done when both sockets are bound. Again with the same binding: nothing happens.
   * @returns the port
   * @throws OVL_DNS_BIND; nothing is left open then
   */
  async open(binding: DnsBinding): Promise<number> {
    const key = keyOf(binding);
    let listener = this.#listeners.get(key);
    if (listener === undefined) {
      listener = this.#listen(binding);
      this.#listeners.set(key, listener);
      this.#addresses.set(key, binding.address);
    }
    try {
      return (await listener).port;
    } catch (error) {
      if (this.#listeners.get(key) === listener) this.#forget(key);
      throw error;
    }
  }

  /** Ends what `open` began, connections included. Without it: nothing happens. */
  async close(binding: DnsBinding): Promise<void> {
    await this.#closeKey(keyOf(binding));
  }

  /** Closes everything; the server can be opened again. The forwarder is its owner's to stop. */
  async stop(): Promise<void> {
    await Promise.all([...this.#listeners.keys()].map((key) => this.#closeKey(key)));
  }

  async #closeKey(key: string): Promise<void> {
    const listener = this.#listeners.get(key);
    if (listener === undefined) return;
    this.#forget(key);
    const opened = await listener.catch(() => undefined);
    await opened?.close();
  }

  #forget(key: string): void {
    this.#listeners.delete(key);
    this.#addresses.delete(key);
  }

  async #listen(binding: DnsBinding): Promise<Listener> {
    const udp = await this.#listenUdp(binding);
    const { port } = udp.address();
    const clients = new TcpClients(this.#components.timers);
    try {
      const tcp = await this.#listenTcp({ ...binding, port }, clients);
      const close = async (): Promise<void> => {
        clients.close();
        await Promise.all([closeUdp(udp), closeTcp(tcp)]);
      };
      return { port, close };
    } catch (error) {
      await closeUdp(udp);
      throw error;
    }
  }

  async #listenUdp(binding: DnsBinding): Promise<UdpSocket> {
    const isV6 = isIP(binding.address) === 6;
    const socket = createSocket({
      type: isV6 ? 'udp6' : 'udp4',
      ipv6Only: isV6,
      lookup: literalOnly,
      recvBufferSize: RECEIVE_BUFFER_BYTES,
    });
    socket.on('message', (bytes, from) => this.#onDatagram(socket, binding.network, bytes, from));
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        socket.close();
        reject(bindError(binding, 'UDP', error));
      };
      socket.once('error', fail);
      try {
        const fd = this.#openBound('udp', binding);
        const place = { address: binding.address, port: binding.port };
        socket.bind(fd === undefined ? { ...place, exclusive: true } : { fd }, resolve);
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.removeAllListeners('error');
    // What the network says of a single answer concerns nobody else.
    socket.on('error', () => undefined);
    return socket;
  }

  async #listenTcp(binding: DnsBinding, clients: TcpClients): Promise<Server> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      clients.accept(socket, (bytes, client) =>
        this.#answer(bytes, binding.network, 'tcp', client.address, client.port),
      );
    });
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => reject(bindError(binding, 'TCP', error));
      server.once('error', fail);
      try {
        const fd = this.#openBound('tcp', binding);
        const place = { host: binding.address, port: binding.port, ipv6Only: true };
        server.listen(fd === undefined ? { ...place, exclusive: true } : { fd }, resolve);
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    server.removeAllListeners('error');
    server.on('error', () => undefined);
    return server;
  }

  /** Undefined: any device will do. @throws an error with `code` */
  #openBound(transport: Transport, binding: DnsBinding): number | undefined {
    const { device, address, port } = binding;
    if (device === undefined) return undefined;
    const open = this.#components.openBoundSocket;
    if (open === undefined) throw new Error('No way to bind a socket to a device was given');
    return open(transport, device, address.split('%')[0] ?? '', port);
  }

  #onDatagram(socket: UdpSocket, network: number, bytes: Uint8Array, from: RemoteInfo): void {
    // Nobody can be answered there, and Node throws when asked to.
    if (from.port === 0) return;
    const answer = this.#answer(bytes, network, 'udp', from.address, from.port);
    if (answer === undefined) return;
    const send = (reply: Uint8Array): void => {
      socket.send(reply, from.port, from.address, () => undefined);
    };
    if (answer instanceof Uint8Array) send(answer);
    else answer.then(send).catch(() => undefined); // closed while an upstream server was asked
  }

  /** The answer, now or later; none for what deserves none. */
  #answer(
    bytes: Uint8Array,
    network: number,
    transport: Transport,
    address: string,
    port: number,
  ): Answer {
    this.#counters.queries += 1;
    const { clock, responder, forwarder } = this.#components;
    if (!this.#rate.take(address, clock.monotonicMs())) {
      this.#counters.rateLimited += 1;
      return undefined;
    }
    if (forwarder.isOwnSocket(clientKey(address, port))) {
      this.#counters.looped += 1;
      return undefined;
    }
    const client = address.split('%')[0] ?? '';
    const also = this.#components.alsoOf?.(network, client) ?? [];
    const verdict = responder.answer(bytes, network, transport, also);
    switch (verdict.kind) {
      case 'reply':
        return verdict.bytes;
      case 'drop':
        this.#counters.malformed += 1;
        return undefined;
      case 'forward':
        if (this.#components.mayForward?.(network, client) === false) {
          this.#counters.refused += 1;
          return failureReply(bytes, verdict.query, transport, RCODE.refused);
        }
        this.#counters.forwarded += 1;
        return forwarder.forward({ bytes, query: verdict.query, transport, client: address });
    }
  }
}

function keyOf(binding: DnsBinding): string {
  return `${binding.network} ${binding.address} ${binding.port} ${binding.device ?? ''}`;
}

function closeUdp(socket: UdpSocket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

function closeTcp(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

const CURES: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'Stop the name server that uses it (ss -lunp and ss -ltnp show who), or start with --no-dns.',
  EACCES: 'Run overlayd as root or with CAP_NET_BIND_SERVICE.',
  EADDRNOTAVAIL: 'The address must be on an interface of this host that is up.',
};

function bindError(binding: DnsBinding, transport: string, cause: Error): OverlayError {
  const errno = 'code' in cause && typeof cause.code === 'string' ? cause.code : 'EUNKNOWN';
  const place = isIP(binding.address) === 6 ? `[${binding.address}]` : binding.address;
  const value = `${place}:${binding.port}`;
  return new OverlayError(
    'OVL_DNS_BIND',
    `Cannot answer DNS on ${value} by ${transport}: ${errno}`,
    {
      value,
      cure: CURES[errno] ?? "Run 'overlayctl doctor'.",
      fields: { errno, network: binding.network },
      cause,
    },
  );
}
