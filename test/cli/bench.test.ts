import assert from 'node:assert/strict';

import { createSystemClock } from '../../src/base/system-clock.js';
import { createNodeTimers } from '../../src/daemon/node-timers.js';
import { openReceiver } from '../../src/load/receiver.js';
import { BETA_ID, Sandbox } from './fake-daemon.js';
import { runCli } from './run-cli.js';

const HOST = '127.0.0.1';
const SECRETS = { token: 'a1'.repeat(16), proof: 'b2'.repeat(16) };

describe('overlayctl bench', function () {
  this.timeout(120_000);
  let box: Sandbox;
  const bench = (...argv: string[]): ReturnType<typeof runCli> =>
    runCli(['--socket', box.socket, 'bench', ...argv]);

  beforeEach(async () => {
    box = new Sandbox();
    await box.start();
  });
  afterEach(() => box.remove());

  const place = (tcp: number, udp: number) => ({
    ...{ schema: 1 as const, peer: BETA_ID, nickname: 'beta', path: 'direct' as const },
    ...{ from: HOST, address: HOST, tcp, udp, seconds: 1, mbps: 1, ...SECRETS },
  });

  it('measures where the daemon says, and prints figures for people and for scripts', async () => {
    const wish = { seconds: 1, mbps: 40 };
    const receiver = await openReceiver(
      { clock: createSystemClock(), timers: createNodeTimers() },
      {
        address: HOST,
        ...wish,
        token: Buffer.from(SECRETS.token, 'hex'),
        proof: Buffer.from(SECRETS.proof, 'hex'),
      },
    );
    box.daemon.benchPlace = place(receiver.tcp, receiver.udp);
    const { code, out, err } = await bench('--seconds', '1', '--mbps', '40', 'beta');
    assert.equal(code, 0, err);
    const number = '[\\d.]+';
    for (const line of [
      '^beta \\(91be77aa\\), path direct, at most 40 Mb/s for 1 s of each load$',
      `^round trip {2}${number} ms median, ${number} ms at the 99th percentile`,
      `^TCP {9}${number} Mb/s$`,
      `^UDP {9}${number} of ${number} Mb/s arrived, ${number} % of \\d+ datagrams lost, \\d+ out of order$`,
    ]) {
      assert.match(out, new RegExp(line, 'm'));
    }
    assert.ok(!out.includes(SECRETS.token));
    assert.deepEqual(box.daemon.benchWishes, [{ peer: 'beta', ...wish }]);
    await receiver.closed;
  });

  it('says that the peer has not consented, with the flag that does', async () => {
    const { code, out, err } = await bench('beta');
    assert.deepEqual([code, out], [1, '']);
    assert.match(
      err,
      /^error: beta does not allow measurements \(OVL_BENCH_REFUSED\)\. .*--allow-bench/,
    );
    assert.deepEqual(box.daemon.benchWishes, [{ peer: 'beta', seconds: 5, mbps: 1000 }]);
  });

  it('refuses bounds that make no sense before anybody is asked', async () => {
    for (const [option, value] of [
      ...[
        ['--seconds', '0'],
        ['--seconds', '31'],
        ['--seconds', '1.5'],
        ['--seconds', '-3'],
      ],
      ...[
        ['--mbps', '0'],
        ['--mbps', '10001'],
        ['--mbps', 'all'],
      ],
    ] as const) {
      const { code, err } = await bench('beta', `${option}=${value}`);
      assert.equal(code, 2, `${option} ${value}: ${err}`);
    }
    assert.equal((await bench()).code, 2);
    assert.deepEqual(box.daemon.benchWishes, []);
  });

  it('does not send to a place that no daemon would name', async () => {
    for (const wrong of [{ address: 'example.net' }, { tcp: 0 }, { token: 'short' }]) {
      box.daemon.benchPlace = { ...place(9, 9), ...wrong };
      const { code, err } = await bench('beta');
      assert.equal(code, 1);
      assert.match(err, /OVL_API_ANSWER/);
    }
  });

  it('says that the load broke off when nobody listens there', async () => {
    box.daemon.benchPlace = place(9, 9);
    const { code, err } = await bench('beta');
    assert.equal(code, 1);
    assert.match(err, /OVL_BENCH_BROKEN/);
  });
});
