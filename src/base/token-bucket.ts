/** Tokens that refill with time; the amount is computed when asked, nothing ticks. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #refillPerSecond: number;
  #tokens: number;
  #atMs = 0;

  constructor(capacity: number, refillPerSecond: number) {
    this.#capacity = capacity;
    this.#refillPerSecond = refillPerSecond;
    this.#tokens = capacity;
  }

  has(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= 1;
  }

  take(nowMs: number): boolean {
    if (!this.has(nowMs)) return false;
    this.#tokens -= 1;
    return true;
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#capacity;
  }

  /** Milliseconds until one token is there; 0 when it is. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#refillPerSecond) * 1000);
  }

  #refill(nowMs: number): void {
    if (nowMs > this.#atMs) {
      const gained = ((nowMs - this.#atMs) / 1000) * this.#refillPerSecond;
      this.#tokens = Math.min(this.#capacity, this.#tokens + gained);
      this.#atMs = nowMs;
    }
  }
}

/** One bucket a key, for keys that strangers choose: full buckets are forgotten, and beyond `maxKeys` the oldest too. */
export class TokenBuckets {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #make: () => TokenBucket;
  readonly #maxKeys: number;

  constructor(make: () => TokenBucket, maxKeys: number) {
    this.#make = make;
    this.#maxKeys = maxKeys;
  }

  has(key: string, nowMs: number): boolean {
    return this.#buckets.get(key)?.has(nowMs) ?? true;
  }

  take(key: string, nowMs: number): boolean {
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      this.#makeRoom(nowMs);
      bucket = this.#make();
      this.#buckets.set(key, bucket);
    }
    return bucket.take(nowMs);
  }

  waitMs(key: string, nowMs: number): number {
    return this.#buckets.get(key)?.waitMs(nowMs) ?? 0;
  }

  #makeRoom(nowMs: number): void {
    if (this.#buckets.size < this.#maxKeys) return;
    for (const [key, bucket] of this.#buckets) {
      if (bucket.isFull(nowMs)) this.#buckets.delete(key);
    }
    const oldest = this.#buckets.keys().next();
    if (this.#buckets.size >= this.#maxKeys && !oldest.done) this.#buckets.delete(oldest.value);
  }
}
