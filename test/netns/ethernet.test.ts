import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import type { TestDaemon } from './lib/daemon.js';
import { Listener, sendToGroup, type GroupSocket } from './lib/multicast.js';
import { PingStream } from './lib/ping-stream.js';
import { framesOf } from './lib/pcap.js';
import { Topology, type Host } from './lib/topology.js';
import { isAnswered, pingAll } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 *     a      b      c          all on one switch, one mesh
 *     |                        guests: namespaces with one MAC and address, plugged into a's and b's bridge
 *     ga     gb
 */

const GROUP = '239.77.1.2';
const WINDOW_S = 5;
const GUEST_MAC = '02:00:00:00:77:01';
const MOVES = 50;

describe('one Ethernet over three hosts', function () {
  this.timeout(180_000);
  let topology: Topology;
  let hosts: Host[];
  let daemons: TestDaemon[];
  let addresses: string[];
  const listeners: Listener[] = [];
  const listen = async (at: number, socket: GroupSocket): Promise<Listener> => {
    const listener = await Listener.start(hosts[at]!, socket);
    listeners.push(listener);
    return listener;
  };

  before(async () => {
    topology = await Topology.create();
    hosts = await topology.hosts(3, 'h');
    await topology.lan(hosts);
    daemons = [];
    for (const host of hosts) {
      const [first] = hosts;
      const peers = host === first ? [] : [first?.address(4) ?? ''];
      const daemon = await host.startDaemon({ peers });
      await daemon.wait('ready', 40_000);
      daemons.push(daemon);
    }
    await Promise.all(daemons.map((daemon) => daemon.wait('peers=3', 40_000)));
    addresses = await Promise.all(daemons.map((daemon) => daemon.address(4)));
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.error(await topology.logs());
  });

  after('leaves nothing behind', async () => {
    for (const listener of listeners) await listener.stop();
    await topology.dispose();
  });

  const on = (at: number, group = GROUP, port = 7700): GroupSocket => {
    return { group, port, address: addresses[at] ?? '' };
  };
  const receivedBy = async (host: Host): Promise<number> => {
    const links: unknown = JSON.parse(await host.ip(['-json', '-s', 'link', 'show', 'eth0']));
    const [link] = links as { stats64: { rx: { packets: number } } }[];
    return link?.stats64.rx.packets ?? 0;
  };

  it('sends a group to its listeners only: others hear less than 1 packet/s more than idle', async () => {
    const [a, , c] = hosts as [Host, Host, Host];
    const listener = await listen(1, on(1));
    // Once a sends to listeners only, everybody has said what it listens to.
    await waitFor('a knows the listener', 10_000, async () => {
      await sendToGroup(a, on(0), 1, 1);
      return ((await daemons[0]!.report()).counters['grouped'] ?? 0) > 0;
    });
    const during = async (work: () => Promise<unknown>) => {
      const read = async () => {
        const { counters } = await daemons[2]!.report();
        return [await receivedBy(c), counters['tap_tx_frames'] ?? 0] as const;
      };
      const [[packets, frames], startMs] = [await read(), performance.now()];
      await work();
      const seconds = (performance.now() - startMs) / 1000;
      const [packetsNow, framesNow] = await read();
      return [(packetsNow - packets) / seconds, (framesNow - frames) / seconds] as const;
    };
    const [idlePackets, idleFrames] = await during(() => delay(WINDOW_S * 1000));
    const heardBefore = await listener.count();
    let sent = 0;
    const [packets, frames] = await during(async () => {
      sent = await sendToGroup(a, on(0), 1000, WINDOW_S);
    });
    const heard = (await listener.count()) - heardBefore;
    const more = packets - idlePackets;
    console.log(`      c: ${more.toFixed(1)} packets/s more than ${idlePackets.toFixed(1)} idle`);
    assert.ok(heard >= sent * 0.99, `the listener heard ${heard} of ${sent}`);
    assert.ok(frames - idleFrames < 1, `${frames} frames/s, ${idleFrames} while idle`);
    // What the daemons say among themselves comes in bursts: PINGs, records when a busy machine changes a round trip.
    assert.ok(more < 20, `${packets} packets/s, ${idlePackets} while idle`);
  });

  it('sends a group to who joins within a second, and no more after the last has left', async () => {
    const socket = { group: '239.77.1.3', port: 7701 };
    const first = await listen(1, { ...on(1), ...socket });
    const grouped = async () => (await daemons[0]!.report()).counters['grouped'] ?? 0;
    const before = await grouped();
    await waitFor('restricted', 10_000, async () => {
      await sendToGroup(hosts[0]!, { ...on(0), ...socket }, 1, 1);
      return (await grouped()) > before;
    });
    const second = await listen(2, { ...on(2), ...socket });
    const joinedMs = performance.now();
    await waitFor('the second hears', 5000, async () => {
      await sendToGroup(hosts[0]!, { ...on(0), ...socket }, 100, 0.1);
      return (await second.count()) > 0;
    });
    console.log(`      heard ${Math.round(performance.now() - joinedMs)} ms after it joined`);
    await second.stop();
    await waitFor('c is left out again', 10_000, async () => {
      const got = await receivedBy(hosts[2]!);
      await sendToGroup(hosts[0]!, { ...on(0), ...socket }, 100, 1);
      return (await receivedBy(hosts[2]!)) - got < 50;
    });
    assert.ok((await first.count()) > 0);
    await first.stop();
  });

  it('carries mDNS to every host, in both families', async () => {
    for (const group of ['224.0.0.251', 'ff02::fb']) {
      const at = (host: number): GroupSocket => {
        const address = group.includes(':') ? '::%overlay0' : (addresses[host] ?? '');
        return { group, port: 5353, address };
      };
      const both = await Promise.all([1, 2].map((host) => listen(host, at(host))));
      const sent = await sendToGroup(hosts[0]!, at(0), 50, 0.2);
      for (const listener of both) {
        await waitFor(`all of ${group}`, 3000, async () => (await listener.count()) === sent);
        await listener.stop();
      }
    }
  });

  it('resolves IPv6 neighbours across all hosts', async () => {
    for (const [at, host] of hosts.entries()) {
      await host.ip(['-6', 'neighbour', 'flush', 'dev', 'overlay0']);
      for (const [other, daemon] of daemons.entries()) {
        if (other !== at) await pingAll(host, await daemon.address(6));
      }
    }
  });

  it('says who has an address from the records, asks nobody else, and follows them', async () => {
    const [a, b, c] = await Promise.all(['na', 'nb', 'nc'].map((name) => topology.host(name)));
    const [onA, onB, onC] = daemons as [TestDaemon, TestDaemon, TestDaemon];
    const targets = ['192.168.77.3', 'fd00:77::3'];
    const lengths = ['192.168.77.3/24', 'fd00:77::3/64'];
    await onA.must('attach', '192.168.77.1/24', 'fd00:77::1/64', a!.namespace);
    await onC.must('attach', ...lengths, c!.namespace);
    const answered = async () => (await onA.report()).counters['neighbours_answered'] ?? 0;
    /** a's guest forgets who has it, and asks: is it told by a's daemon? */
    const isTold = async (target: string): Promise<boolean> => {
      const before = await answered();
      await a!.ip(['neighbour', 'flush', 'to', target, 'dev', 'eth-ovl']);
      await isAnswered(a!, target);
      return (await answered()) > before;
    };
    for (const target of targets) await waitFor(`${target} told`, 10_000, () => isTold(target));
    const capture = await hosts[1]!.capture('overlay0-t');
    for (const target of targets) {
      await a!.ip(['neighbour', 'flush', 'to', target, 'dev', 'eth-ovl']);
      await pingAll(a!, target);
    }
    // One that nobody has: b hears of it, and would have heard of the others before.
    const asks = (frame: Buffer, last: number): boolean =>
      (frame.readUInt16BE(12) === 0x0806 && frame.readUInt8(41) === last) ||
      (frame.readUInt16BE(12) === 0x86dd && frame.readUInt8(54) === 135 && frame[77] === last);
    const heard = async (last: number): Promise<boolean> =>
      framesOf(await capture.sofar()).some((frame) => frame.length > 77 && asks(frame, last));
    await waitFor('a question to all', 10_000, async () => {
      await isAnswered(a!, 'fd00:77::99');
      return heard(0x99);
    });
    const frames = framesOf(await capture.stop()).filter((frame) => frame.length >= 60);
    assert.ok(!frames.some((frame) => asks(Buffer.concat([frame, Buffer.alloc(26)]), 3)));

    // A second one with that address learns of the first.
    await a!.must(['sysctl', '-qw', 'net.ipv6.conf.eth-ovl.accept_dad=1']);
    await a!.ip(['address', 'add', 'fd00:77::3/64', 'dev', 'eth-ovl']);
    await waitFor('the duplicate is found', 10_000, async () =>
      (await a!.ip(['-6', 'address', 'show', 'dev', 'eth-ovl'])).includes('dadfailed'),
    );
    await a!.ip(['address', 'delete', 'fd00:77::3/64', 'dev', 'eth-ovl']);

    await onC.must('detach', c!.namespace);
    await onB.must('attach', ...lengths, b!.namespace);
    const shown = (await onB.json('ps')) as { attachments: { mac: string }[] };
    for (const target of targets) {
      await waitFor(`${target} at its new place`, 10_000, async () => {
        const isSaid = await isTold(target);
        const entry = await a!.ip(['neighbour', 'show', target, 'dev', 'eth-ovl']);
        return isSaid && entry.includes(shown.attachments[0]?.mac ?? 'none');
      });
      await pingAll(a!, target);
    }
    await onA.must('detach', a!.namespace);
    await onB.must('detach', b!.namespace);
  });

  it('follows a MAC that moves between hosts 50 times, within 200 ms each time', async () => {
    const [a, b, c] = hosts as [Host, Host, Host];
    const guests = [await topology.host('ga'), await topology.host('gb')];
    const address = `${addresses[2]?.replace(/\.\d+$/, '') ?? ''}.77`;
    for (const [at, guest] of guests.entries()) {
      const host = [a, b][at]!;
      await host.ip(
        ['link', 'add', 'guest0', 'type', 'veth', 'peer', 'name', 'eth0'].concat([
          ...['address', GUEST_MAC, 'netns', guest.namespace],
        ]),
      );
      await host.ip(['link', 'set', 'guest0', 'master', 'overlay0', 'up']);
      // As a machine that was moved does: says that it is here.
      await guest.must(['sysctl', '-qw', 'net.ipv4.conf.eth0.arp_notify=1']);
      await guest.ip(['address', 'add', `${address}/12`, 'dev', 'eth0']);
    }
    await guests[1]!.ip(['link', 'set', 'eth0', 'up']);
    const stream = new PingStream(c, address, 100);
    await stream.more(10, 10_000);
    const holes: number[] = [];
    for (let move = 0; move < MOVES; move++) {
      const [from, to] = [guests[(move + 1) % 2]!, guests[move % 2]!];
      await from.ip(['link', 'set', 'eth0', 'down']);
      await to.ip(['link', 'set', 'eth0', 'up']);
      const upMs = Date.now();
      await stream.more(5);
      const first = stream.answers.find(({ atMs }) => atMs >= upMs);
      holes.push(Math.round((first?.atMs ?? Infinity) - upMs));
    }
    await stream.stop();
    for (const host of [a, b]) await host.ip(['link', 'delete', 'guest0']);
    holes.sort((x, y) => x - y);
    console.log(
      `      answers again after ${holes[MOVES / 2]} ms (median), ${holes.at(-1)} ms at most`,
    );
    // One may be late where the machine is busy: a frame of before the move that a's daemon reads after it.
    assert.ok((holes.at(-2) ?? Infinity) <= 200, holes.join(' '));
    assert.ok((holes.at(-1) ?? Infinity) <= 2000, holes.join(' '));
  });
});
