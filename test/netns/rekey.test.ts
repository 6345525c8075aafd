import assert from 'node:assert/strict';
import type { TestDaemon } from './lib/daemon.js';
import { type Pair, startPair } from './lib/pair.js';
import { waitFor } from './lib/wait.js';
import { tidy } from './lib/tidy.js';

/*
 * Keys change while traffic runs at half of what the tunnel can carry, and nothing is lost by it. The short
 * interval is a debug setting (docs/debugging.md).
 */

const LONG = process.env['OVERLAYD_TEST_LONG'] === '1';
const PINGS = LONG ? 30_000 : 3000;
const PING_SECONDS = LONG ? 60 : 12;
/** Drops that a wrong key or phase would show. */
const KEY_DROPS = ['no_session', 'unknown_session', 'key_phase', 'replay', 'forged'] as const;
const PORT = '7008';

/** What ping(8) counted. */
function pingCounts(stdout: string): { sent: number; received: number } {
  const found = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  assert.ok(found, stdout);
  return { sent: Number(found[1]), received: Number(found[2]) };
}

interface Iperf {
  readonly end: { readonly sum_received: { readonly bits_per_second: number; bytes: number } };
}

async function iperf(pair: Pair, seconds: number, more: readonly string[]): Promise<number> {
  const address = await pair.b.address(4);
  const server = pair.bob.run(['iperf3', '-s', '-1', '-B', address, '-p', PORT], {
    timeoutMs: (seconds + 20) * 1000,
  });
  await waitFor('iperf3 -s', 5000, async () =>
    (await pair.bob.must(['ss', '-Hltn', 'sport', '=', `:${PORT}`])).includes(PORT),
  );
  const words = ['iperf3', '-c', address, '-p', PORT, '-J', '-C', 'cubic', '-t', String(seconds)];
  const stdout = await pair.alice.must([...words, ...more], { timeoutMs: (seconds + 20) * 1000 });
  await server;
  return (JSON.parse(stdout) as Iperf).end.sum_received.bits_per_second;
}

async function dropsOf(daemons: readonly TestDaemon[]): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const daemon of daemons) {
    const { drops } = await daemon.report();
    for (const name of KEY_DROPS) sum[name] = (sum[name] ?? 0) + (drops[name] ?? 0);
  }
  return sum;
}

for (const { everyMs, atLeast, seconds, pings, name } of [
  { name: 'every 2 s', everyMs: 2000, atLeast: LONG ? 25 : 4, seconds: PING_SECONDS, pings: PINGS },
  // 260 phases and more: the byte in the header wraps.
  { name: 'so often that the phase wraps', everyMs: 50, atLeast: 260, seconds: 18, pings: 3000 },
]) {
  describe(`new keys ${name}`, function () {
    this.timeout(LONG ? 240_000 : 120_000);
    let pair: Pair;

    before(async () => {
      const env = { OVERLAYD_DEBUG: '1', OVERLAYD_DEBUG_REKEY_MS: String(everyMs) };
      pair = await startPair({ env });
    });
    tidy(() => pair);

    it('lose no ping and nothing of the traffic beside', async () => {
      const most = await iperf(pair, 3, []);
      // The initiator may send right behind FIN, and does: a PING and two probes for the path's size, all three
      // repeated. They come before the responder has looked at the FIN and installed the keys: the start, no rekey.
      const before = await dropsOf([pair.a, pair.b]);
      const { key_phase, replay, forged, unknown_session = 0 } = before;
      assert.deepEqual({ key_phase, replay, forged }, { key_phase: 0, replay: 0, forged: 0 });
      assert.ok(unknown_session <= 6, `${String(unknown_session)} before the session was there`);
      const half = String(Math.round(most / 2));
      const load = iperf(pair, seconds, ['-b', half]);
      const interval = (seconds / pings).toFixed(4);
      const words = ['ping', '-n', '-q', '-c', String(pings), '-i', interval, '-W', '2'];
      const ping = await pair.alice.run([...words, await pair.b.address(4)], {
        timeoutMs: 200_000,
      });
      const carried = await load;
      assert.deepEqual(pingCounts(ping.stdout), { sent: pings, received: pings }, ping.stdout);
      assert.deepEqual(await dropsOf([pair.a, pair.b]), before);
      assert.ok(carried > most * 0.3, `${carried.toFixed(0)} of ${half} b/s`);
      assert.equal((await pair.a.status()).links.established, 1);
      const rekeys = (await pair.a.report()).counters['rekeys'];
      assert.ok(Number(rekeys) >= atLeast, `${String(rekeys)} rekeys`);
    });
  });
}
