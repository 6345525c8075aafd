import type { Endpoint } from '../model/endpoint.js';
import type { FakeDatagram, FakeNetwork, FakePipe } from './fake-network.js';

/*
 * TCP connections of the fake as dataplane.ts promises them: datagrams arrive whole and in order; an accepted one
 * without an INIT within 5 s is closed, one without anything authentic 15 s later too, and a source gets eight of those.
 */

const ACCEPTED_FROM = 0x8000_0000;
const INIT_WITHIN_MS = 5000;
const PROVE_WITHIN_MS = 15_000;
const STRANGERS_OF_SOURCE = 8;

export interface FakeTcpEvents<Payload> {
  onOpened(connection: number, endpoint: Endpoint): void;
  onClosed(connection: number): void;
  onDatagram(connection: number, datagram: FakeDatagram<Payload>): void;
}

interface Connection<Payload> {
  readonly endpoint: Endpoint;
  readonly isAccepted: boolean;
  pipe: FakePipe<Payload> | undefined;
  stage: 'stranger' | 'asked' | 'member';
}

export class FakeTcp<Payload> {
  readonly #network: FakeNetwork<Payload>;
  readonly #events: FakeTcpEvents<Payload>;
  readonly #connections = new Map<number, Connection<Payload>>();
  #next = ACCEPTED_FROM;

  constructor(network: FakeNetwork<Payload>, events: FakeTcpEvents<Payload>) {
    this.#network = network;
    this.#events = events;
  }

  /** @returns stop */
  listen(local: Endpoint): () => void {
    return this.#network.listen(local, (from, pipe) => {
      const strangers = [...this.#connections.values()].filter(
        (other) => other.stage !== 'member' && other.endpoint.address === from.address,
      );
      if (strangers.length >= STRANGERS_OF_SOURCE) {
        pipe.close();
        return;
      }
      const number = this.#next;
      this.#next += 1;
      this.#add(number, { endpoint: from, isAccepted: true, pipe, stage: 'stranger' });
      this.#closeUnless(number, INIT_WITHIN_MS, ({ stage }) => stage !== 'stranger');
    });
  }

  connect(number: number, local: Endpoint | undefined, to: Endpoint): void {
    if (!local || number <= 0 || number >= ACCEPTED_FROM || this.#connections.has(number)) {
      this.#events.onClosed(number);
      return;
    }
    const connection: Connection<Payload> = {
      endpoint: to,
      isAccepted: false,
      pipe: undefined,
      stage: 'member',
    };
    this.#connections.set(number, connection);
    this.#network.connect(local, to, (pipe) => {
      if (this.#connections.get(number) !== connection) pipe?.close();
      else if (pipe) this.#add(number, { ...connection, pipe });
      else this.#end(number);
    });
  }

  /** @returns false: there is none, or it does not stand yet. */
  send(number: number, datagram: FakeDatagram<Payload>): boolean {
    const pipe = this.#connections.get(number)?.pipe;
    pipe?.send(datagram);
    return pipe !== undefined;
  }

  close(number: number): void {
    const connection = this.#connections.get(number);
    this.#connections.delete(number);
    connection?.pipe?.close();
  }

  closeAll(): void {
    for (const number of [...this.#connections.keys()]) this.close(number);
  }

  remoteOf(number: number): Endpoint | undefined {
    return this.#connections.get(number)?.endpoint;
  }

  /** An INIT came from there that the gate let in. */
  onInit(number: number): void {
    const connection = this.#connections.get(number);
    if (connection?.stage !== 'stranger') return;
    connection.stage = 'asked';
    this.#closeUnless(number, PROVE_WITHIN_MS, ({ stage }) => stage === 'member');
  }

  onAuthentic(number: number): void {
    const connection = this.#connections.get(number);
    if (connection) connection.stage = 'member';
  }

  #add(number: number, connection: Connection<Payload>): void {
    this.#connections.set(number, connection);
    connection.pipe?.onEvents({
      onDatagram: (datagram) => {
        this.#events.onDatagram(number, datagram);
      },
      onClosed: () => {
        this.#end(number);
      },
    });
    this.#events.onOpened(number, connection.endpoint);
  }

  #end(number: number): void {
    if (!this.#connections.has(number)) return;
    this.close(number);
    this.#events.onClosed(number);
  }

  #closeUnless(
    number: number,
    afterMs: number,
    isFine: (connection: Connection<Payload>) => boolean,
  ): void {
    this.#network.scheduler.at(afterMs, () => {
      const connection = this.#connections.get(number);
      if (connection && !isFine(connection)) this.#end(number);
    });
  }
}
