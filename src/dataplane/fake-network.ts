import type { Rng } from '../base/rng.js';
import { formatEndpoint, type Endpoint } from '../model/endpoint.js';

/*
 * The underlay of a simulation: hosts with addresses, and between each two of them a wire that delays, loses,
 * duplicates, reorders (by jitter), refuses sizes, or is cut. No NAT. Deterministic: time and chance are injected.
 */

/** Virtual time. */
export interface Scheduler {
  nowMs(): number;
  /** @returns cancel */
  at(delayMs: number, callback: () => void): () => void;
}

export interface Wire {
  readonly delayMs: number;
  /** Added to the delay, uniformly: more than the spacing of datagrams reorders them. */
  readonly jitterMs: number;
  /** 0 … 1 */
  readonly loss: number;
  /** 0 … 1 */
  readonly duplicates: number;
  /** Largest UDP payload; larger ones vanish. */
  readonly datagramBytes: number;
  readonly isCut: boolean;
  /** Datagrams vanish; TCP passes. */
  readonly isUdpBlocked: boolean;
}

export const GOOD_WIRE: Wire = {
  delayMs: 1,
  jitterMs: 0,
  loss: 0,
  duplicates: 0,
  datagramBytes: 1472,
  isCut: false,
  isUdpBlocked: false,
};

/** Handshake bytes as they are, or a sealed datagram as an object that only its key opens. */
export interface FakeDatagram<Payload> {
  readonly bytes: number;
  readonly payload: Payload;
}

/** One end of a TCP connection, already cut into datagrams. */
export interface FakePipe<Payload> {
  send(datagram: FakeDatagram<Payload>): void;
  close(): void;
  /** What comes from the other end; before that it is lost. */
  onEvents(events: { onDatagram(datagram: FakeDatagram<Payload>): void; onClosed(): void }): void;
}

const RELAY_BACK_MS = 60;

type Receiver<Payload> = (from: Endpoint, to: Endpoint, datagram: FakeDatagram<Payload>) => void;

export class FakeNetwork<Payload> {
  readonly #scheduler: Scheduler;
  readonly #rng: Rng;
  readonly #receivers = new Map<string, Receiver<Payload>>();
  readonly #wires = new Map<string, Wire>();
  readonly #listeners = new Map<string, (from: Endpoint, pipe: FakePipe<Payload>) => void>();
  #freePort = 50_000;
  #default: Wire = GOOD_WIRE;
  #delivered = 0;
  #tap: ((from: Endpoint, to: Endpoint, payload: Payload, bytes: number) => void) | undefined;
  #isCut: ((from: string, to: string) => boolean) | undefined;
  readonly #isolated = new Set<string>();
  #relay:
    { readonly victim: string; readonly attacker: string; readonly target: string } | undefined;

  constructor(scheduler: Scheduler, rng: Rng) {
    this.#scheduler = scheduler;
    this.#rng = rng;
  }

  get delivered(): number {
    return this.#delivered;
  }

  get scheduler(): Scheduler {
    return this.#scheduler;
  }

  /** @returns unbind. An endpoint that is bound already throws. */
  bind(endpoint: Endpoint, receiver: Receiver<Payload>): () => void {
    const key = formatEndpoint(endpoint);
    if (this.#receivers.has(key)) throw new Error(`${key} is bound already`);
    this.#receivers.set(key, receiver);
    return () => {
      if (this.#receivers.get(key) === receiver) this.#receivers.delete(key);
    };
  }

  setAll(wire: Partial<Wire>): void {
    this.#default = { ...this.#default, ...wire };
    for (const [key, own] of this.#wires) this.#wires.set(key, { ...own, ...wire });
  }

  /** Between two addresses, both ways. */
  set(a: string, b: string, wire: Partial<Wire>): void {
    this.setOneWay(a, b, wire);
    this.setOneWay(b, a, wire);
  }

  setOneWay(from: string, to: string, wire: Partial<Wire>): void {
    const key = `${from} ${to}`;
    this.#wires.set(key, { ...(this.#wires.get(key) ?? this.#default), ...wire });
  }

  /**
   * An attacker who sees what `victim` sends to `target`, sends it on from an address of its own faster than the wire,
   * and passes what comes back on to the victim, slowly. @returns stop
   */
  relayAs(victim: string, attacker: string, target: string): () => void {
    this.#relay = { victim, attacker, target };
    return () => {
      this.#relay = undefined;
    };
  }

  /** Sees everything that is sent; undefined: nobody does any more. */
  onSend(
    tap: ((from: Endpoint, to: Endpoint, payload: Payload, bytes: number) => void) | undefined,
  ): void {
    this.#tap = tap;
  }

  /** Cuts the host at that address off from all others, beside what else is cut. */
  isolate(address: string, isIsolated: boolean): void {
    if (isIsolated) this.#isolated.add(address);
    else this.#isolated.delete(address);
  }

  /** Cuts all wires between addresses for which it says so, beside those that are cut one by one. */
  divide(isCut: ((from: string, to: string) => boolean) | undefined): void {
    this.#isCut = isCut;
  }

  /** @returns false when the wire swallows it for its size: what receiver reports would show a second later. */
  send(from: Endpoint, to: Endpoint, datagram: FakeDatagram<Payload>): boolean {
    this.#tap?.(from, to, datagram.payload, datagram.bytes);
    const wire = this.#wire(from, to);
    if (datagram.bytes > wire.datagramBytes) return false;
    if (wire.isCut || wire.isUdpBlocked) return true;
    this.#overtake(from, to, datagram);
    const copies = this.#rng.fraction() < wire.duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#rng.fraction() < wire.loss) continue;
      const delayMs = wire.delayMs + this.#rng.fraction() * wire.jitterMs;
      this.#scheduler.at(delayMs, () => {
        const receiver = this.#receivers.get(formatEndpoint(to));
        if (!receiver) return;
        this.#delivered += 1;
        receiver(from, to, datagram);
      });
    }
    return true;
  }

  /** TCP connections to `endpoint` are accepted. @returns stop */
  listen(
    endpoint: Endpoint,
    onAccepted: (from: Endpoint, pipe: FakePipe<Payload>) => void,
  ): () => void {
    const key = formatEndpoint(endpoint);
    this.#listeners.set(key, onAccepted);
    return () => {
      if (this.#listeners.get(key) === onAccepted) this.#listeners.delete(key);
    };
  }

  /** Undefined: nobody listens there, or nothing gets through. */
  connect(
    from: Endpoint,
    to: Endpoint,
    onDone: (pipe: FakePipe<Payload> | undefined) => void,
  ): void {
    const own = { ...from, port: this.#freePort++ };
    this.#later(from, to, () => {
      const wire = this.#wire(from, to);
      const accept = wire.isCut ? undefined : this.#listeners.get(formatEndpoint(to));
      if (!accept) {
        this.#later(to, from, () => {
          onDone(undefined);
        });
        return;
      }
      const [ours, theirs] = this.#pipes(from, to);
      accept(own, theirs);
      this.#later(to, from, () => {
        onDone(ours);
      });
    });
  }

  #pipes(a: Endpoint, b: Endpoint): [FakePipe<Payload>, FakePipe<Payload>] {
    type Events = Parameters<FakePipe<Payload>['onEvents']>[0];
    const ends: (Events | undefined)[] = [undefined, undefined];
    let isOpen = true;
    const make = (own: number, from: Endpoint, to: Endpoint): FakePipe<Payload> => ({
      send: (datagram) => {
        if (!isOpen || this.#wire(from, to).isCut) return;
        this.#later(from, to, () => {
          if (isOpen) ends[1 - own]?.onDatagram(datagram);
        });
      },
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#later(from, to, () => ends[1 - own]?.onClosed());
      },
      onEvents: (events) => {
        ends[own] = events;
      },
    });
    return [make(0, a, b), make(1, b, a)];
  }

  #wire(from: Endpoint, to: Endpoint): Wire {
    const own = this.#wires.size > 0 ? this.#wires.get(`${from.address} ${to.address}`) : undefined;
    const wire = own ?? this.#default;
    const isCut =
      this.#isolated.has(from.address) ||
      this.#isolated.has(to.address) ||
      this.#isCut?.(from.address, to.address) === true;
    return isCut ? { ...wire, isCut } : wire;
  }

  /** In order: no jitter. */
  #later(from: Endpoint, to: Endpoint, act: () => void): void {
    this.#scheduler.at(this.#wire(from, to).delayMs, act);
  }

  #overtake(from: Endpoint, to: Endpoint, datagram: FakeDatagram<Payload>): void {
    const relay = this.#relay;
    if (!relay) return;
    const pass = (as: Endpoint, target: Endpoint, delayMs: number): void => {
      this.#scheduler.at(delayMs, () => {
        this.#receivers.get(formatEndpoint(target))?.(as, target, datagram);
      });
    };
    const own = { ...from, address: relay.attacker };
    if (relay.victim === from.address && relay.target === to.address) pass(own, to, 0);
    if (relay.attacker === to.address) pass(own, { ...to, address: relay.victim }, RELAY_BACK_MS);
  }
}
