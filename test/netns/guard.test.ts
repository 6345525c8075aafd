import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import type { TestDaemon } from './lib/daemon.js';
import { ethernet, ipv4, ipv6, mac, TYPE_IPV4, TYPE_IPV6, u16, udp } from './lib/frames.js';
import { framesOf } from './lib/pcap.js';
import { type Host, Topology } from './lib/topology.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     web   db   thief     attached to one host; the thief has root and raw sockets
 *      |    |     |
 *      ─────alice─────
 */

const PROGRAM = fileURLToPath(new URL('./lib/send-frames-program.js', import.meta.url));
const ALL = 'ff:ff:ff:ff:ff:ff';
const TYPE_ARP = 0x0806;

interface Shown {
  readonly target: string;
  readonly mac: string;
  readonly spoofed: { readonly mac: number; readonly address: number };
}

describe('the guard between attachments of one host', function () {
  this.timeout(120_000);
  let topology: Topology;
  let alice: Host;
  let web: Host;
  let db: Host;
  let thief: Host;
  let daemon: TestDaemon;
  let webMac = '';
  let thiefMac = '';

  before(async () => {
    topology = await Topology.create();
    alice = await topology.host('alice');
    [web, db, thief] = [
      await topology.host('web'),
      await topology.host('db'),
      await topology.host('thief'),
    ];
    daemon = await alice.startDaemon();
    await daemon.wait('ready');
    await daemon.must('attach', '10.9.0.2/24', 'fd00:9::2/64', web.namespace);
    await daemon.must('attach', '10.9.0.3/24', 'fd00:9::3/64', db.namespace);
    await daemon.must('attach', '10.9.0.4/24', thief.namespace);
    await daemon.must('attach', '10.9.0.5/24', 'fd00:9::4/64', thief.namespace);
    const macOf = async (host: Host): Promise<string> => (await shown(host)).mac;
    [webMac, thiefMac] = [await macOf(web), await macOf(thief)];
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') {
      console.error(await topology.logs(), await alice.must(['nft', 'list', 'ruleset']));
    }
  });

  after('leaves nothing behind', async () => {
    for (const host of [web, db, thief]) await daemon.must('detach', host.namespace);
    assert.equal(await alice.must(['nft', 'list', 'ruleset']), '');
    await topology.dispose();
  });

  async function shown(host: Host): Promise<Shown> {
    const { attachments } = (await daemon.json('ps')) as { attachments: Shown[] };
    const found = attachments.find(({ target }) => target === host.namespace);
    assert.ok(found);
    return found;
  }

  async function send(host: Host, ...frames: readonly Buffer[]): Promise<void> {
    const texts = frames.map((frame) => frame.toString('hex'));
    await host.must([process.execPath, PROGRAM, 'eth-ovl', ...texts]);
  }

  /** Says that `address` is at `from`; `sender` is the MAC inside. */
  function arp(address: string, from: string, sender = from): Buffer {
    const bytes = Buffer.from(address.split('.').map(Number));
    const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, 2]);
    const body = [head, mac(sender), bytes, mac(ALL), bytes];
    return ethernet(ALL, from, TYPE_ARP, Buffer.concat(body));
  }

  const text = (mark: string): Buffer => Buffer.from(`guard-test ${mark}`);
  const v4 = (source: string, mark: string): Buffer =>
    ipv4(source, '10.9.0.255', 17, udp(source, '10.9.0.255', 9, text(mark)));
  /** Next header 59: none; the payload is for the eye. */
  const v6 = (source: string, mark: string): Buffer => ipv6(source, 'ff02::1', 59, text(mark));
  /** A neighbour advertisement, checksum left out: rules look before the receiver does. */
  function advertisement(source: string, target: string, mark: string): Buffer {
    const address = ipv6(target, target, 59, Buffer.alloc(0)).subarray(8, 24);
    const head = Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]);
    return ipv6(source, 'ff02::1', 58, Buffer.concat([head, address, text(mark)]));
  }
  /** One behind 24 bytes of options that nobody knows, with `shown` where a target would be without them. */
  function hiddenAdvertisement(source: string, target: string, shown: string): Buffer {
    const address = ipv6(shown, shown, 59, Buffer.alloc(0)).subarray(8, 24);
    const options = Buffer.concat([Buffer.from([58, 2, 0x1e, 20, 0, 0, 0, 0]), address]);
    const message = advertisement(source, target, 'hidden').subarray(40);
    return ipv6(source, 'ff02::1', 60, Buffer.concat([options, message]));
  }

  it('lets each speak as itself, over IPv4 and IPv6', async () => {
    for (const host of [web, thief]) {
      await pingAll(host, '10.9.0.3');
      await pingAll(host, 'fd00:9::3');
    }
    await pingAll(thief, '10.9.0.2');
    assert.deepEqual((await shown(thief)).spoofed, { mac: 0, address: 0 });
  });

  it('drops what claims the MAC or an address of another, counts it and says who it was', async () => {
    const claim = Buffer.concat([mac(thiefMac), Buffer.from([10, 9, 0, 2])]);
    const capture = await db.capture('eth-ovl');
    await send(
      thief,
      ...[
        ethernet(ALL, webMac, TYPE_IPV4, v4('10.9.0.4', 'mac of another')),
        arp('10.9.0.4', thiefMac, webMac),
        // Priority-tagged: its receiver takes it as untagged.
        ...[0x8100, 0x88a8].map((type) => {
          const content = Buffer.concat([u16(0), u16(TYPE_IPV4), v4('10.9.0.2', `tag ${type}`)]);
          return ethernet(ALL, thiefMac, type, content);
        }),
      ],
      ...[
        arp('10.9.0.2', thiefMac),
        ethernet(ALL, thiefMac, TYPE_IPV4, v4('10.9.0.2', 'IPv4 of another')),
        ethernet('33:33:00:00:00:01', thiefMac, TYPE_IPV6, v6('fd00:9::2', 'IPv6 of another')),
        ethernet(
          '33:33:00:00:00:01',
          thiefMac,
          TYPE_IPV6,
          advertisement('fd00:9::4', 'fd00:9::2', 'x'),
        ),
        ethernet(
          '33:33:00:00:00:01',
          thiefMac,
          TYPE_IPV6,
          hiddenAdvertisement('fd00:9::4', 'fd00:9::2', 'fd00:9::4'),
        ),
      ],
      ethernet(ALL, thiefMac, TYPE_IPV4, v4('10.9.0.4', 'honest')),
      ethernet(ALL, thiefMac, TYPE_IPV4, v4('10.9.0.5', 'honest, too')),
      ethernet('33:33:00:00:00:01', thiefMac, TYPE_IPV6, v6('fd00:9::4', 'honest, six')),
      ethernet('33:33:00:00:00:01', thiefMac, TYPE_IPV6, v6('fe80::1234', 'honest, link-local')),
    );
    await waitFor('the last one', 5000, async () => (await capture.sofar()).includes('link-local'));
    const frames = framesOf(await capture.stop());
    const seen = frames.flatMap((frame) => {
      return /guard-test ([a-z0-9, -]+)/i.exec(frame.toString('latin1'))?.[1] ?? [];
    });
    assert.deepEqual(seen, ['honest', 'honest, too', 'honest, six', 'honest, link-local']);
    const lies = frames.filter((frame) => {
      return (
        frame.readUInt16BE(12) === TYPE_ARP &&
        frame.includes(mac(thiefMac)) &&
        frame.includes(claim)
      );
    });
    assert.deepEqual(lies, []);
    await waitFor('the count', 15_000, async () => {
      const { spoofed } = await shown(thief);
      return spoofed.mac === 4 && spoofed.address === 5;
    });
    assert.deepEqual((await shown(web)).spoofed, { mac: 0, address: 0 });
    assert.match(await daemon.must('events'), new RegExp(`${thief.namespace}.*MAC`));
    const neighbours = await db.ip(['neighbour', 'show', '10.9.0.2']);
    assert.ok(!neighbours.includes(thiefMac), neighbours);
    await pingAll(db, '10.9.0.2');
  });

  it('is there again after all rules were flushed, and holds while the daemon is dead', async () => {
    const isGuarded = async (): Promise<boolean> => {
      await web.ip(['address', 'add', '10.9.0.77/24', 'dev', 'eth-ovl']);
      const got = await web.run(['ping', '-c1', '-W0.3', '-I', '10.9.0.77', '10.9.0.3']);
      await web.ip(['address', 'del', '10.9.0.77/24', 'dev', 'eth-ovl']);
      return got.code !== 0;
    };
    assert.equal(await isGuarded(), true);
    // The daemon may look between the flush and the ping.
    await waitFor('nothing in the way', 12_000, async () => {
      await alice.must(['nft', 'flush', 'table', 'bridge', 'overlayd-overlay0']);
      return !(await isGuarded());
    });
    await waitFor('rules', 12_000, isGuarded);
    await alice.must(['nft', 'flush', 'ruleset']);
    await waitFor('rules', 12_000, isGuarded);
    await daemon.crash();
    assert.equal(await isGuarded(), true);
    daemon = await alice.startDaemon();
    await daemon.wait('ready');
    assert.equal(await isGuarded(), true);
    await pingAll(web, '10.9.0.3');
  });

  it('follows addresses as they come and go', async () => {
    await daemon.must('attach', '10.9.0.6/24', web.namespace);
    await web.must(['ping', '-c1', '-W1', '-I', '10.9.0.6', '10.9.0.3']);
    await daemon.must('detach', '10.9.0.6/24', web.namespace);
    await web.ip(['address', 'add', '10.9.0.6/24', 'dev', 'eth-ovl']);
    assert.notEqual(
      (await web.run(['ping', '-c1', '-W0.3', '-I', '10.9.0.6', '10.9.0.3'])).code,
      0,
    );
    await web.ip(['address', 'del', '10.9.0.6/24', 'dev', 'eth-ovl']);
  });

  it('leaves the addresses of a target without any to itself, not its MAC', async () => {
    await daemon.must('detach', db.namespace);
    await daemon.must('attach', 'none', db.namespace);
    await db.ip(['address', 'add', '10.9.0.8/24', 'dev', 'eth-ovl']);
    await waitFor('an answer', 5000, () => isAnswered(db, '10.9.0.2'));
    await db.ip(['link', 'set', 'eth-ovl', 'address', '02:00:00:00:00:99']);
    assert.equal(await isAnswered(db, '10.9.0.2'), false);
  });
});
