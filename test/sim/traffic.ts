import type { FakePayload } from '../../src/dataplane/fake.js';
import { CONTROL } from '../../src/wire/control-types.js';
import type { Sim } from './harness.js';

/** UDP and IPv4 headers, beside the payload that the fake network counts. */
const HEADER_BYTES = 28;
const NAMES = new Map<number, string>(Object.entries(CONTROL).map(([name, type]) => [type, name]));

/** What the nodes of a simulation send, IP headers included, by node and by what it is. */
export class Traffic {
  readonly #sim: Sim;
  readonly #sinceMs: number;
  readonly #byAddress = new Map<string, number>();
  readonly #byKind = new Map<string, number>();
  #forMs = 0;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.#sinceMs = sim.time.nowMs();
    sim.network.onSend((from, _to, payload, bytes) => {
      const whole = bytes + HEADER_BYTES;
      add(this.#byAddress, from.address, whole);
      add(this.#byKind, kindOf(payload), whole);
    });
  }

  stop(): void {
    this.#forMs = this.#sim.time.nowMs() - this.#sinceMs;
    this.#sim.network.onSend(undefined);
  }

  bytesPerSecondOf(address: string): number {
    return ((this.#byAddress.get(address) ?? 0) * 1000) / this.#forMs;
  }

  /** Of all nodes together, the most first. */
  get kinds(): readonly (readonly [string, number])[] {
    return [...this.#byKind]
      .map(([kind, bytes]) => [kind, (bytes * 1000) / this.#forMs] as const)
      .sort(([, a], [, b]) => b - a);
  }
}

function add(sums: Map<string, number>, key: string, bytes: number): void {
  sums.set(key, (sums.get(key) ?? 0) + bytes);
}

function kindOf(payload: FakePayload): string {
  if (payload instanceof Uint8Array) return 'handshake';
  if ('ttl' in payload) return `relayed ${kindOf(payload.inner)}`;
  const { body } = payload;
  return body.kind === 'control' ? (NAMES.get(body.type) ?? 'unknown') : body.kind;
}
