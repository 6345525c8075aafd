import { formatEndpoint, type Endpoint } from '../model/endpoint.js';
import { isEndpoint, type PathAddress } from '../model/path-address.js';
import {
  TCP_AFTER_MS,
  TCP_AGAIN_MS,
  TCP_CONNECTIONS_MAX,
  TCP_IDLE_MS,
  TCP_PER_TARGET,
} from './constants.js';

/*
 * The TCP connections this node opens (docs/protocol.md §6), for targets that do not answer over UDP:
 *
 *   UDP silent for 2.5 s ──► connecting ── stands ──► open: dialled like an endpoint, then a path
 *                                │                      │
 *                                └─ refused, 5 s ───────┴─ closed, or of no use for a minute ──► forgotten
 *
 * UDP goes on being dialled and asked all the while. A closed endpoint is tried again after a pause.
 */

interface Connection {
  readonly endpoint: Endpoint;
  isOpen: boolean;
  /** When it was last seen to be of use. */
  usedAtMs: number;
}

export class TcpDial {
  readonly #connections = new Map<number, Connection>();
  readonly #againAtMs = new Map<string, number>();
  #next = 1;

  /**
   * Where to connect for a target that was asked over UDP in vain since `silentSinceMs`.
   * @returns connections to open
   */
  wanted(
    endpoints: readonly Endpoint[],
    silentSinceMs: number,
    nowMs: number,
  ): { readonly connection: number; readonly to: Endpoint }[] {
    if (nowMs < silentSinceMs + TCP_AFTER_MS) return [];
    const opened: { connection: number; to: Endpoint }[] = [];
    for (const to of endpoints.slice(0, TCP_PER_TARGET)) {
      const text = formatEndpoint(to);
      const isPaused = nowMs < (this.#againAtMs.get(text) ?? 0);
      if (isPaused || this.#connections.size >= TCP_CONNECTIONS_MAX || this.#of(text)) continue;
      const connection = this.#next;
      this.#next = connection >= 0x7fff_ffff ? 1 : connection + 1;
      this.#connections.set(connection, { endpoint: to, isOpen: false, usedAtMs: nowMs });
      this.#againAtMs.set(text, nowMs + TCP_AGAIN_MS);
      opened.push({ connection, to });
    }
    return opened;
  }

  /** The open ones to these endpoints, to be dialled beside them. */
  openTo(endpoints: readonly PathAddress[]): PathAddress[] {
    const texts = new Set(endpoints.filter(isEndpoint).map(formatEndpoint));
    return [...this.#connections]
      .filter(([, { isOpen, endpoint }]) => isOpen && texts.has(formatEndpoint(endpoint)))
      .map(([connection]) => ({ family: 'tcp', connection }));
  }

  /** Where a connection of ours leads; undefined: it was accepted, is gone, or the address is no connection. */
  endpointOf(address: PathAddress): Endpoint | undefined {
    if (address.family !== 'tcp') return undefined;
    return this.#connections.get(address.connection)?.endpoint;
  }

  /** An endpoint stands for the connections to it: what counts for one counts for all. */
  placeOf(address: PathAddress): PathAddress {
    return this.endpointOf(address) ?? address;
  }

  onOpened(connection: number, nowMs: number): void {
    const found = this.#connections.get(connection);
    if (!found) return;
    found.isOpen = true;
    found.usedAtMs = nowMs;
  }

  onClosed(connection: number): void {
    this.#connections.delete(connection);
  }

  /** @returns connections to close: nobody has used them for a while. */
  sweep(isUsed: (connection: number) => boolean, nowMs: number): number[] {
    const idle: number[] = [];
    for (const [connection, found] of this.#connections) {
      if (isUsed(connection)) found.usedAtMs = nowMs;
      else if (nowMs - found.usedAtMs >= TCP_IDLE_MS) idle.push(connection);
    }
    for (const connection of idle) this.#connections.delete(connection);
    for (const [text, atMs] of this.#againAtMs) if (nowMs >= atMs) this.#againAtMs.delete(text);
    return idle;
  }

  get size(): number {
    return this.#connections.size;
  }

  #of(text: string): boolean {
    for (const { endpoint } of this.#connections.values()) {
      if (formatEndpoint(endpoint) === text) return true;
    }
    return false;
  }
}
