import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isAnswered, pingAll, tcpTransfer, udpTransfer } from './lib/traffic.js';
import { framesOf } from './lib/pcap.js';
import { type Host, Topology } from './lib/topology.js';
import { must, run } from './lib/exec.js';
import { waitFor } from './lib/wait.js';

/* The ruler itself, on the bare underlay: no daemon runs here. */

describe('netns topology', function () {
  this.timeout(120_000);

  async function twoHosts(
    options: Parameters<Topology['link']>[2],
  ): Promise<{ topology: Topology; a: Host; b: Host }> {
    const topology = await Topology.create();
    const a = await topology.host('a');
    const b = await topology.host('b');
    await topology.link(a, b, options);
    return { topology, a, b };
  }

  it('joins two hosts, carries checked TCP and UDP, and goes without trace', async () => {
    const { topology, a, b } = await twoHosts({ mtuBytes: 9000, offloads: false });
    await pingAll(a, b.address(4), { size: 8900 });
    await pingAll(b, a.address(6));
    await tcpTransfer(a, b, b.address(6), 1 << 20);
    await udpTransfer(b, a, a.address(4), { count: 1000, perSecond: 2000 });
    await topology.dispose();
    const names = await run(['ip', 'netns', 'list']);
    assert.ok(!names.stdout.includes(`overlayd-t${String(process.pid)}-`), names.stdout);
  });

  it('has no IPv6 underlay where only IPv4 is asked for', async () => {
    const { topology, a } = await twoHosts({ underlay: 'ipv4' });
    assert.equal(await a.ip(['-6', 'address', 'show', 'dev', 'eth0']), '');
    assert.throws(() => a.address(6));
    await topology.dispose();
  });

  it('joins three hosts on a switch', async () => {
    const topology = await Topology.create();
    const hosts = [await topology.host('a'), await topology.host('b'), await topology.host('c')];
    await topology.lan(hosts);
    for (const host of hosts) {
      for (const other of hosts) {
        if (host !== other) await pingAll(host, other.address(4), { count: 1 });
      }
    }
    await topology.dispose();
  });

  it('cuts pairs on a switch, both ways or one, and heals them', async () => {
    const topology = await Topology.create();
    const [a, b, c] = (await topology.hosts(3)) as [Host, Host, Host];
    const lan = await topology.lan([a, b, c]);
    const arriving = async (from: Host, to: Host) => {
      const { stdout } = await to.run(['sh', '-c', 'nstat -asz IcmpInEchos | tail -1']);
      const before = Number(stdout.split(/\s+/)[1]);
      await isAnswered(from, to.address(4));
      const after = await to.run(['sh', '-c', 'nstat -asz IcmpInEchos | tail -1']);
      return Number(after.stdout.split(/\s+/)[1]) - before;
    };
    for (const oneWay of [false, true]) {
      await pingAll(a, b.address(4), { count: 1 });
      await lan.cut(a, b, { oneWay });
      assert.deepEqual([await arriving(a, b), await arriving(b, a)], [0, oneWay ? 1 : 0]);
      assert.ok(!(await isAnswered(a, b.address(6))));
      await pingAll(a, c.address(4), { count: 1 });
      await pingAll(b, c.address(6), { count: 1 });
      await lan.heal(a, b);
    }
    await pingAll(a, b.address(4), { count: 1 });
    await topology.dispose();
  });

  it('blocks UDP of one host on a switch, and nothing else', async () => {
    const topology = await Topology.create();
    const [a, b] = (await topology.hosts(2)) as [Host, Host];
    const lan = await topology.lan([a, b]);
    await lan.blockUdp(a);
    await tcpTransfer(a, b, b.address(4), 1 << 16);
    const load = { count: 20, perSecond: 1000 };
    await assert.rejects(udpTransfer(a, b, b.address(4), load), /nothing whole|"received":0/);
    await assert.rejects(udpTransfer(b, a, a.address(6), load), /nothing whole|"received":0/);
    await lan.allowUdp(a);
    await udpTransfer(a, b, b.address(4), load);
    await topology.dispose();
  });

  for (const kind of ['port-restricted', 'symmetric'] as const) {
    it(`hides hosts behind a NAT that is ${kind}`, async () => {
      const topology = await Topology.create();
      const [inside, neighbour, ...outside] = (await topology.hosts(4)) as [Host, Host, Host, Host];
      const lan = await topology.lan(outside, { underlay: 'ipv4' });
      const router = await topology.nat(lan, [inside, neighbour], kind);
      await pingAll(inside, outside[0].address(), { count: 1 });
      await pingAll(inside, neighbour.address(), { count: 1 });
      assert.ok(!(await isAnswered(outside[0], router.address())), 'nothing comes in unasked');

      const captures = await Promise.all(outside.map((host) => host.capture('eth0')));
      await inside.must([
        ...['node', '-e'],
        `const socket = require('node:dgram').createSocket('udp4');
         socket.bind(6783, () => {
           let left = 2;
           for (const to of ${JSON.stringify(outside.map((host) => host.address()))})
             socket.send('x', 6783, to, () => --left || socket.close());
         });`,
      ]);
      const ports: (number | undefined)[] = [];
      for (const capture of captures) {
        const datagram = await waitFor('the datagram', 3000, async () =>
          framesOf(await capture.sofar()).find((frame) => frame[12] === 8 && frame[23] === 17),
        );
        assert.equal([...datagram.subarray(26, 30)].join('.'), router.address());
        ports.push(datagram.readUInt16BE(34));
        await capture.stop();
      }
      if (kind === 'port-restricted') assert.deepEqual(ports, [6783, 6783]);
      else assert.notEqual(ports[0], ports[1]);
      await topology.dispose();
    });
  }

  it('sees datagrams that were lost', async () => {
    const { topology, a, b } = await twoHosts({});
    await b.nft('add table t; add chain t i { type filter hook input priority 0; }');
    await b.nft('add rule t i udp length 72 counter drop');
    await assert.rejects(
      udpTransfer(a, b, b.address(4), { count: 120, perSecond: 2000 }),
      /"received":110,"corrupt":0/,
    );
    await topology.dispose();
  });

  it('finds plain text in a capture', async () => {
    const { topology, a, b } = await twoHosts({});
    const capture = await a.capture('eth0');
    const pattern = Buffer.from('plain-text-marke').toString('hex');
    await a.must(['ping', '-n', '-c', '1', '-p', pattern, b.address(4)]);
    await waitFor('the text in the capture', 5000, async () =>
      (await capture.sofar()).includes('plain-text-marke'),
    );
    await capture.stop();
    await topology.dispose();
  });

  it('complains of a process and an interface that were left, and removes both', async () => {
    const { topology, a } = await twoHosts({});
    await a.ip(['link', 'add', 'overlay0', 'type', 'bridge']);
    const [program, ...rest] = a.inside(['cat']);
    const child = spawn(program ?? '', rest, { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = once(child, 'exit');
    try {
      // It begins as ip(8) and is inside a little later.
      const isInside = async (): Promise<boolean> =>
        (await must(['ip', 'netns', 'pids', a.namespace])).split('\n').includes(String(child.pid));
      await waitFor('the process inside', 5000, isInside);
      await assert.rejects(topology.dispose(), (error: Error) => {
        assert.match(error.message, /left behind/);
        assert.match(error.message, new RegExp(`process ${String(child.pid)} in a`));
        assert.match(error.message, /interface overlay0 in a/);
        return true;
      });
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  });
});
