import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Topology, type Host } from './lib/topology.js';
import { waitFor } from './lib/wait.js';

/*
 *   guest eth0 ──── eth0 host eth1 ──── eth0 other
 *                 network 0   network 1
 *
 * A resolver of other people's making asks over a real link.
 */

const PROGRAM = fileURLToPath(new URL('./lib/dns-program.js', import.meta.url));
const QUERIES_PER_SECOND = 2000;
const SECONDS = 5;

describe('the DNS server, asked by dig and dnsperf', function () {
  this.timeout(120_000);
  let topology: Topology;
  let host: Host;
  let guest: Host;
  let program: ChildProcess;
  let v4 = '';
  let v6 = '';
  let linkLocal = '';

  before(async () => {
    topology = await Topology.create();
    host = await topology.host('host');
    guest = await topology.host('guest');
    const other = await topology.host('other');
    await topology.link(host, guest);
    await topology.link(host, other);
    [v6 = '', v4 = ''] = host.addresses;
    linkLocal = await waitFor('a link-local address', 10_000, async () => {
      const lines = await host.ip(['-6', 'address', 'show', 'dev', 'eth0', 'scope', 'link']);
      return lines.includes('tentative') ? undefined : /fe80:[0-9a-f:]+/.exec(lines)?.[0];
    });
    const [, , redV6 = ''] = host.addresses;
    const bindings = [`0,${v4}`, `0,${v6}`, `0,${linkLocal}%eth0`, `1,${redV6}`];
    const [ip = '', ...rest] = host.inside([process.execPath, PROGRAM, ...bindings]);
    program = spawn(ip, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(program.stdout!, 'data');
  });

  after(async () => {
    const ended = once(program, 'exit');
    program.stdin!.end();
    assert.deepEqual(await ended, [0, null]);
    await topology.dispose();
  });

  const dig = (server: string, ...words: string[]): Promise<string> =>
    guest.must(['dig', '+tries=1', '+time=3', `@${server}`, ...words]);
  const short = async (server: string, ...words: string[]): Promise<string[]> =>
    (await dig(server, '+short', ...words)).split('\n').filter(Boolean);

  it('gives A, AAAA and PTR over IPv4, IPv6 and a link-local address', async () => {
    for (const server of [v4, v6, `${linkLocal}%eth0`]) {
      assert.deepEqual(await short(server, 'WEB.overlay.INTERNAL', 'A'), ['10.32.0.5'], server);
      assert.deepEqual(await short(server, 'web', 'AAAA'), ['fd00:9::5'], server);
      assert.deepEqual(await short(server, '-x', '10.32.0.5'), ['web.overlay.internal.'], server);
      assert.deepEqual(await short(server, '-x', 'fd00:9::5'), ['web.overlay.internal.'], server);
    }
  });

  it('tells empty answers from unknown names, without a word of complaint from dig', async () => {
    const empty = await dig(v4, 'web.overlay.internal', 'MX');
    assert.match(empty, /status: NOERROR.*\n;; flags: qr aa rd ra;.*ANSWER: 0, AUTHORITY: 1/);
    assert.match(empty, /overlay\.internal\.\s+1\s+IN\s+SOA/);
    assert.match(await dig(v4, 'nobody.overlay.internal'), /status: NXDOMAIN/);
    assert.match(await dig(v4, 'secret.overlay.internal'), /status: NXDOMAIN/);
    assert.match(await dig(v4, 'version.bind', 'CH', 'TXT'), /status: REFUSED/);
    assert.match(await dig(v4, '+edns=1', '+noednsnegotiation', 'web'), /status: BADVERS/);
    assert.match(await dig(v4, '+opcode=NOTIFY', 'web'), /status: NOTIMP/);
    for (const text of [empty, await dig(v4, '+dnssec', '+nsid', '+cookie', 'many')]) {
      assert.doesNotMatch(text, /WARNING|malformed|FORMERR|mismatch/i);
    }
  });

  it('gives 50 addresses: cut in plain UDP, whole by EDNS0 and by TCP', async () => {
    const plain = await dig(v4, '+noedns', '+ignore', 'many.overlay.internal');
    assert.match(plain, /flags: qr aa tc/);
    const edns = await dig(v4, '+ignore', '+bufsize=1232', 'many.overlay.internal');
    assert.match(edns, /flags: qr aa rd.*ANSWER: 50/);
    assert.match(edns, /\(UDP\)/);
    const retried = await dig(v4, 'six.overlay.internal', 'AAAA');
    assert.match(retried, /Truncated, retrying in TCP/);
    assert.match(retried, /ANSWER: 50/);
    assert.equal((await short(v6, '+tcp', 'many.overlay.internal')).length, 50);
  });

  it(`answers ${QUERIES_PER_SECOND} queries a second and loses none`, async () => {
    const names = ['web A', 'many A', 'six AAAA', 'nobody A', '5.0.32.10.in-addr.arpa PTR'];
    const input = names
      .map((name) => (name.includes('arpa') ? name : name.replace(' ', '.overlay.internal ')))
      .join('\n');
    const file = join(topology.directory, 'queries');
    await writeFile(file, `${input}\n`);
    const outcome = await guest.must(
      ['dnsperf', '-s', v4, '-d', file, '-Q', String(QUERIES_PER_SECOND)].concat([
        ...['-l', String(SECONDS), '-e', '-c', '4', '-T', '1'],
      ]),
    );
    const value = (label: string): number =>
      Number(new RegExp(`${label}:\\s+([0-9.]+)`).exec(outcome)?.[1]);
    assert.equal(value('Queries lost'), 0, outcome);
    assert.ok(value('Queries per second') > 0.9 * QUERIES_PER_SECOND, outcome);
    console.log(
      outcome
        .split('\n')
        .filter((line) => /second|Latency|lost/.test(line))
        .join('\n'),
    );
  });
});
