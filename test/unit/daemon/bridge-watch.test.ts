import assert from 'node:assert/strict';

import { BridgeWatch } from '../../../src/daemon/bridge-watch.js';

/** A bridge that can be deleted, and time that a test lets pass. */
class Scene {
  isThere = true;
  failure: Error | undefined;
  restored = 0;
  readonly failures: unknown[] = [];
  #due: (() => void) | undefined;

  readonly watch = new BridgeWatch({
    timers: {
      set: (_delayMs, callback) => {
        this.#due = callback;
        return () => {
          this.#due = undefined;
        };
      },
    },
    isThere: () => this.isThere,
    restore: () => {
      if (this.failure) return Promise.reject(this.failure);
      this.isThere = true;
      return Promise.resolve();
    },
    onRestored: () => {
      this.restored += 1;
    },
    onFailure: (error) => this.failures.push(error),
  });

  get isArmed(): boolean {
    return this.#due !== undefined;
  }

  async look(): Promise<void> {
    const due = this.#due;
    this.#due = undefined;
    due?.();
    // What was begun is all of promises that are settled already.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

describe('a bridge under a running daemon', () => {
  it('is made again when it is gone, and left alone while it is there', async () => {
    const scene = new Scene();
    scene.watch.start();
    await scene.look();
    assert.equal(scene.restored, 0);
    scene.isThere = false;
    await scene.look();
    await scene.look();
    assert.deepEqual([scene.restored, scene.isThere], [1, true]);
  });

  it('is tried again until all on it is there, and that is said once', async () => {
    const scene = new Scene();
    scene.watch.start();
    scene.isThere = false;
    scene.failure = new Error('no room');
    await scene.look();
    // The bridge itself came back, what lives on it did not.
    scene.isThere = true;
    await scene.look();
    assert.deepEqual([scene.failures.length, scene.restored], [1, 0]);
    scene.failure = undefined;
    await scene.look();
    await scene.look();
    assert.deepEqual([scene.failures.length, scene.restored], [1, 1]);
  });

  it('is looked at no more once that is stopped', async () => {
    const scene = new Scene();
    scene.watch.start();
    await scene.watch.stop();
    assert.equal(scene.isArmed, false);
    scene.watch.start();
    assert.equal(scene.isArmed, false);
  });
});
