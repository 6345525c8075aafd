import type { Clock } from '../base/clock.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { NetworkWatcher, Timers } from './ports.js';

/** Changes acted on at once; a host whose routes change all day is followed every two seconds. */
const BURST = 8;
const PER_SECOND = 0.5;

/** Changes of this host's network, metered: none is forgotten, many become one. */
export class NetworkNews {
  readonly #components: { readonly clock: Clock; readonly timers: Timers };
  readonly #onNews: () => void;
  readonly #tokens = new TokenBucket(BURST, PER_SECOND);
  #cancel: (() => void) | undefined;
  #unwatch: (() => void) | undefined;

  constructor(components: { readonly clock: Clock; readonly timers: Timers }, onNews: () => void) {
    this.#components = components;
    this.#onNews = onNews;
  }

  /** `ours`: interfaces whose changes are our own doing. @throws what the watcher throws */
  start(watcher: NetworkWatcher, ours: readonly string[]): void {
    this.#unwatch = watcher.watch(ours, () => {
      this.#onChange();
    });
  }

  stop(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #onChange(): void {
    if (this.#cancel) return; // told when the time comes
    const nowMs = this.#components.clock.monotonicMs();
    if (this.#tokens.take(nowMs)) {
      this.#onNews();
      return;
    }
    this.#cancel = this.#components.timers.set(this.#tokens.waitMs(nowMs), () => {
      this.#cancel = undefined;
      this.#onChange();
    });
  }
}
