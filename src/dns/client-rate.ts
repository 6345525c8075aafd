import { CLIENT_QUERIES_PER_SECOND, MAX_COUNTED_CLIENTS } from './constants.js';

const WINDOW_MS = 1000;
/** Whoever comes when the table is full. */
const EVERYBODY_ELSE = '';

/** How much each client address may ask in a second. The table is emptied every second and thus stays small. */
export class ClientRate {
  readonly #counts = new Map<string, number>();
  #windowEndMs = 0;

  take(client: string, nowMs: number): boolean {
    if (nowMs >= this.#windowEndMs) {
      this.#counts.clear();
      this.#windowEndMs = nowMs + WINDOW_MS;
    }
    let key = client;
    let count = this.#counts.get(key);
    if (count === undefined && this.#counts.size >= MAX_COUNTED_CLIENTS) {
      key = EVERYBODY_ELSE;
      count = this.#counts.get(key);
    }
    this.#counts.set(key, (count ?? 0) + 1);
    return (count ?? 0) < CLIENT_QUERIES_PER_SECOND;
  }
}
