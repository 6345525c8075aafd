import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSystemRng } from '../../src/base/system-rng.js';
import { respondToInit, startInitiator } from '../../src/crypto/handshake.js';
import { sodium } from '../../src/crypto/sodium.js';
import {
  encodeResp,
  encodeRespHeader,
  FIN_TYPE,
  INIT_TYPE,
  parseInit,
  parseRetry,
  RESP_TYPE,
  RETRY_TYPE,
} from '../../src/wire/handshake.js';
import type { Arrival } from './lib/attacker.js';
import type { TestDaemon } from './lib/daemon.js';
import { endpointOf, newIndex, newParty, passwordSecret } from './lib/hostile-member.js';
import { cheapInit, HostileScene } from './lib/hostile-scene.js';
import { isAnswered } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

const SPOOF_MS = process.env['OVERLAYD_TEST_LONG'] === '1' ? 60_000 : 4000;
const GUESSES = 5;
const rng = createSystemRng();

/** What somebody without the password can answer at best: a valid point, the rest invented. */
function forgedResp(init: Uint8Array): Uint8Array {
  const parsed = parseInit(init);
  assert.ok(parsed.ok);
  const head = encodeRespHeader({
    version: 1,
    flags: 0,
    senderIndex: newIndex(),
    receiverIndex: parsed.value.senderIndex,
    suite: 1,
  });
  return encodeResp(head, {
    y: sodium.crypto_core_ristretto255_random(),
    confirm: rng.bytes(32),
    sealed: rng.bytes(192),
  });
}

const sidOf = (init: Uint8Array): string => Buffer.from(init.subarray(24, 40)).toString('hex');

describe('guesses and forged handshakes', function () {
  this.timeout(SPOOF_MS + 60_000);
  let scene: HostileScene;
  let a: TestDaemon;
  let b: TestDaemon;

  before(async () => {
    scene = await HostileScene.open();
    ({ a, b } = await scene.startBoth());
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await scene.topology.logs());
  });
  after(() => scene.close());

  describe('an INIT that went to eight addresses and is answered by 1 000 forged RESPs', () => {
    const lures = Array.from(
      { length: 8 },
      (_none, index) => `198.18.20.${String(index + 1)}:6783`,
    );
    let dialer: TestDaemon;
    let hostsDirectory: string;

    /** INITs since `after`, of one handshake that reached all lures. */
    async function nextInit(after: number, but = ''): Promise<Uint8Array> {
      return waitFor('an INIT at every lure', 15_000, () => {
        const inits = initsAfter(after).filter((arrival) => sidOf(arrival.bytes) !== but);
        return inits.find(({ bytes }) => {
          const same = inits.filter((other) => sidOf(other.bytes) === sidOf(bytes));
          return new Set(same.map((other) => other.at)).size === lures.length;
        })?.bytes;
      });
    }

    function initsAfter(after: number): Arrival[] {
      const { arrivals } = scene.attacker;
      return arrivals.slice(after).filter(({ bytes }) => bytes[0] === INIT_TYPE);
    }

    const genuineResp = (init: Uint8Array): Uint8Array => {
      const from = endpointOf(`${scene.dave.address()}:6783`);
      const answer = respondToInit(newParty(), { newest: scene.prs }, init, newIndex(), from, rng);
      assert.ok(answer.ok);
      return answer.value.resp;
    };

    before(async () => {
      // ip-netns(8) puts this in the place of /etc/hosts.
      hostsDirectory = join('/etc/netns', scene.dave.namespace);
      await mkdir(hostsDirectory, { recursive: true });
      const lines = lures.map((lure) => `${lure.split(':')[0] ?? ''} lure.test\n`);
      await writeFile(join(hostsDirectory, 'hosts'), lines.join(''));
      for (const lure of lures) await scene.attacker.send(lure, scene.target, []);
      dialer = await scene.dave.startDaemon({ peers: ['lure.test'], state: 'lured' });
    });
    after(async () => {
      await dialer.stop();
      await rm(hostsDirectory, { recursive: true });
    });

    it('examines three of them, then forgets its secret', async () => {
      const victim = `${scene.dave.address()}:6783`;
      const init = await nextInit(0);
      const forged = (count: number): Uint8Array[] =>
        Array.from({ length: count }, () => forgedResp(init));
      await scene.attacker.send(lures[0]!, victim, forged(500));
      await scene.attacker.send(lures[1]!, victim, forged(499));
      // Two were examined, one for each address: the others are still asked.
      const mark = scene.attacker.arrivals.length;
      const repeats = await waitFor('a repetition of the INIT', 4000, () => {
        const same = initsAfter(mark).filter(({ bytes }) => sidOf(bytes) === sidOf(init));
        return same.length >= 6 && same;
      });
      assert.deepEqual(
        repeats.filter(({ at }) => at === lures[0] || at === lures[1]),
        [],
      );
      // The third ends it: what comes now is not looked at, be it right.
      await scene.attacker.send(lures[2]!, victim, forged(1));
      await delay(50);
      const end = scene.attacker.arrivals.length;
      await scene.attacker.send(lures[3]!, victim, [genuineResp(init)]);
      const next = await nextInit(end, sidOf(init));
      const since = scene.attacker.arrivals.slice(end).map(({ bytes }) => bytes);
      assert.deepEqual(
        since.filter((bytes) => bytes[0] === FIN_TYPE || sidOf(bytes) === sidOf(init)),
        [],
      );

      // With two bad ones the right one is still taken.
      for (const lure of lures.slice(0, 2)) {
        await scene.attacker.send(lure, victim, [forgedResp(next)]);
      }
      await scene.attacker.send(lures[5]!, victim, [genuineResp(next)]);
      await waitFor('FIN', 1000, () =>
        scene.attacker.arrivals.some(({ at, bytes }) => at === lures[5] && bytes[0] === FIN_TYPE),
      );
    });
  });

  it('beside 40 spoofed INITs a second a stranger and a restarted member join within 3 s', async () => {
    const sources = [
      `${scene.carol.address()}:6783`,
      `${scene.bob.address()}:6783`,
      ...Array.from({ length: 40 }, () => scene.newSource()),
    ];
    let count = 0;
    const over = new AbortController();
    const spoofing = (async () => {
      while (!over.signal.aborted) {
        // The joiners' addresses get half of them.
        const at = count % 2 === 0 ? (count / 2) % 2 : 2 + (count % (sources.length - 2));
        await Promise.all([
          scene.attacker.send(sources[at]!, scene.target, [cheapInit()]),
          delay(25),
        ]);
        count += 1;
      }
    })();
    try {
      await delay(SPOOF_MS);
      const before = await a.report();
      const halfOpen = before.counters['half_open']!;
      assert.ok(halfOpen > 0 && halfOpen <= 200, `${String(halfOpen)} half-open handshakes`);

      // From ready on, which is when a daemon dials: its start takes as long as the machine is busy.
      const c = await scene.carol.startDaemon({ peers: [scene.alice.address()] });
      await c.wait('ready');
      let startMs = performance.now();
      await Promise.all([c.wait('peers=2'), a.wait('peers=3')]);
      const strangerMs = Math.round(performance.now() - startMs);

      await b.crash();
      b = await scene.bob.startDaemon({ peers: [scene.alice.address()] });
      await b.wait('ready');
      startMs = performance.now();
      await waitFor('traffic after the restart', 10_000, async () =>
        isAnswered(scene.alice, await b.address(4)),
      );
      const memberMs = Math.round(performance.now() - startMs);
      console.info(`        stranger ${String(strangerMs)} ms, member ${String(memberMs)} ms`);
      await c.stop();
      assert.ok(strangerMs <= 3000, `the stranger took ${String(strangerMs)} ms`);
      assert.ok(memberMs <= 3000, `the member took ${String(memberMs)} ms`);
    } finally {
      over.abort();
      await spoofing;
    }
  });

  it('after five wrong guesses a source gets at most one answer in 5 s', async () => {
    const at = scene.newSource();
    const wrong = await passwordSecret('wrong horse');
    const answeredMs: number[] = [];
    let current = startInitiator(newParty(), { prs: wrong, slot: 0 }, newIndex(), rng);
    const end = scene.attacker.onArrival((arrival) => {
      if (arrival.at !== at) return;
      if (arrival.bytes[0] === RESP_TYPE) answeredMs.push(performance.now());
      if (arrival.bytes[0] !== RETRY_TYPE) return;
      const retry = parseRetry(arrival.bytes);
      assert.ok(retry.ok);
      void scene.attacker.send(at, scene.target, [current.initWithCookie(retry.value.cookie)]);
    });
    const startMs = performance.now();
    while (performance.now() - startMs < 9_000) {
      current = startInitiator(newParty(), { prs: wrong, slot: 0 }, newIndex(), rng);
      await scene.attacker.send(at, scene.target, [current.init]);
      await delay(60);
    }
    end();
    assert.ok(answeredMs.length > GUESSES, 'it gets its guesses, and later ones');
    assert.ok(answeredMs[GUESSES - 1]! - startMs < 3000, 'five at once');
    for (let index = GUESSES; index < answeredMs.length; index++) {
      const gapMs = answeredMs[index]! - answeredMs[index - 1]!;
      // The bucket refills from the first guess on, which came a little before the fifth.
      const limitMs = index === GUESSES ? 3500 : 4900;
      assert.ok(gapMs >= limitMs, `answer ${String(index + 1)} after ${String(gapMs)} ms`);
    }
  });
});
