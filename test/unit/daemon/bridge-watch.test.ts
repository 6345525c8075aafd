import assert from 'node:assert/strict';

import { BridgeWatch } from '../../../src/daemon/bridge-watch.js';

/** Two bridges that can be deleted, a kernel that tells of it or not, and time that a test lets pass. */
class Scene {
  readonly there = new Set(['overlay0', 'ovn1', 'ovn1-t']);
  failure: Error | undefined;
  readonly restored: string[] = [];
  readonly said: string[] = [];
  rejoined = 0;
  followed = 0;
  armedMs: number | undefined;
  isListening = false;
  #news: () => void = () => undefined;
  #due: (() => void) | undefined;
  readonly watch: BridgeWatch;

  constructor(hasNews = true) {
    const bridge = (name: string, devices: readonly string[]) => ({
      ...{ name, devices },
      restore: async () => {
        this.restored.push(name);
        if (this.failure) return Promise.reject(this.failure);
        for (const device of devices) this.there.add(device);
        return Promise.resolve();
      },
    });
    const bridges = [bridge('overlay0', ['overlay0']), bridge('ovn1', ['ovn1', 'ovn1-t'])];
    this.watch = new BridgeWatch({
      timers: {
        set: (delayMs, callback) => {
          this.#due = callback;
          this.armedMs = delayMs;
          return () => {
            this.#due = undefined;
            this.armedMs = undefined;
          };
        },
      },
      network: {
        watch: (_ignored, onChange) => {
          if (!hasNews) throw new Error('EPERM');
          this.#news = onChange;
          this.isListening = true;
          return () => {
            this.isListening = false;
          };
        },
      },
      interfaces: () => this.there,
      bridges: () => bridges,
      rejoin: () => {
        this.rejoined += 1;
        return Promise.resolve();
      },
      follow: () => {
        this.followed += 1;
        return Promise.resolve();
      },
      onRestored: (name) => this.said.push(`${name} is back`),
      onFailure: (name, error) => this.said.push(`${name}: ${(error as Error).message}`),
    });
    this.watch.start();
  }

  /** The kernel says that something changed. */
  async news(): Promise<void> {
    this.#news();
    await this.#settled();
  }

  async timer(): Promise<void> {
    const due = this.#due;
    this.#due = undefined;
    due?.();
    await this.#settled();
  }

  /** What was begun is all of promises that are settled already. */
  async #settled(): Promise<void> {
    for (let turn = 0; turn < 30; turn++) await Promise.resolve();
  }
}

describe('a bridge under a running daemon', () => {
  it('is made again as soon as the kernel says that it is gone, and left alone while it is there', async () => {
    const scene = new Scene();
    await scene.news();
    assert.deepEqual(scene.restored, []);
    scene.there.delete('overlay0');
    await scene.news();
    await scene.news();
    assert.deepEqual([scene.restored, scene.rejoined], [['overlay0'], 1]);
    assert.equal(scene.followed, 3, 'with each look, whether or not something was gone');
    assert.deepEqual(scene.said, ['overlay0 is back']);
  });

  it('is missed with its TAP alone, and by a look without word from the kernel', async () => {
    const scene = new Scene(false);
    assert.equal(scene.armedMs, 1000);
    scene.there.delete('ovn1-t');
    await scene.timer();
    assert.deepEqual([scene.restored, scene.rejoined], [['ovn1'], 1]);
    const told = new Scene();
    assert.equal(told.armedMs, 10_000);
    for (const name of [...told.there]) told.there.delete(name);
    await told.timer();
    assert.deepEqual([told.restored, told.rejoined], [['overlay0', 'ovn1'], 1]);
  });

  it('is tried again until all on it is there, and that is said once', async () => {
    const scene = new Scene();
    scene.there.delete('overlay0');
    scene.failure = new Error('no room');
    await scene.news();
    assert.equal(scene.armedMs, 1000);
    // The bridge itself came back, what lives on it did not.
    scene.there.add('overlay0');
    await scene.timer();
    assert.deepEqual([scene.said, scene.rejoined], [['overlay0: no room'], 0]);
    scene.failure = undefined;
    await scene.timer();
    await scene.timer();
    assert.deepEqual(scene.said, ['overlay0: no room', 'overlay0 is back']);
    assert.deepEqual([scene.restored.length, scene.armedMs], [3, 10_000]);
  });

  it('that goes while another is made again is found behind it', async () => {
    const scene = new Scene();
    scene.there.delete('overlay0');
    const first = scene.news();
    scene.there.delete('ovn1');
    await scene.news();
    await first;
    assert.deepEqual(scene.restored, ['overlay0', 'ovn1']);
  });

  it('is looked at no more once that is stopped', async () => {
    const scene = new Scene();
    await scene.watch.stop();
    assert.deepEqual([scene.armedMs, scene.isListening], [undefined, false]);
    scene.there.delete('overlay0');
    await scene.news();
    assert.deepEqual(scene.restored, []);
  });
});
