import assert from 'node:assert/strict';
import fc from 'fast-check';
import { OverlayError } from '../../src/base/errors.js';
import { VERBS } from '../../src/cli/verbs.js';
import { ALPHA_ID, BETA_ID, GAMMA_ID, Sandbox, event, peer, twoNodeStatus } from './fake-daemon.js';
import { runCli, spawnCli, virtualTime } from './run-cli.js';

describe('overlayctl', () => {
  let box: Sandbox;
  const ctl = (...argv: string[]): ReturnType<typeof runCli> =>
    runCli(['--socket', box.socket, ...argv]);

  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.remove());

  describe('with a daemon', () => {
    beforeEach(() => box.start());

    it('status tells an operator the state of the node', async () => {
      assert.deepEqual(await ctl('status'), {
        code: 0,
        err: '',
        out: [
          'overlayd 0.1.0 is ready: 2 nodes (this one included), 1 link established',
          '',
          `  node        alpha (${ALPHA_ID})`,
          '  mesh        default',
          '  interface   overlay0, MAC 3e:2a:9c:10:d4:e5, MTU 1388',
          '  addresses   10.47.0.9/12',
          '              fd12:3456:789a:bcde::1/64',
          '  encryption  on',
          '  port        6783, UDP and TCP',
          '  process     4711',
          '',
          'CONTACT         STATE        PEER      WHY',
          '192.0.2.2:6783  established  91be77aa',
          '',
        ].join('\n'),
      });
    });

    it('network shows, makes and removes networks', async () => {
      assert.deepEqual(
        await ctl('network', 'create', 'blue', '--subnet', '10.80.0.0/16', '--subnet', 'fd00::/64'),
        { code: 0, err: '', out: 'blue\n' },
      );
      assert.deepEqual(await ctl('network', 'list'), {
        code: 0,
        err: '',
        out: [
          'NETWORK  SUBNETS                  MTU  INTERFACE  HERE  ELSEWHERE',
          'default  10.32.0.0/12            1388  overlay0   -     beta',
          'blue     10.80.0.0/16 fd00::/64  1388  -          web   -',
          '',
        ].join('\n'),
      });
      const json = JSON.parse((await ctl('--json', 'network', 'list')).out) as {
        networks: unknown[];
      };
      assert.deepEqual(json.networks, box.daemon.networkDocuments);
      assert.deepEqual(await ctl('network', 'remove', 'blue'), { code: 0, err: '', out: '' });
      assert.equal(box.daemon.networkDocuments.length, 1);
      for (const bad of [
        ['network', 'make', 'blue'],
        ['network', 'create'],
        ['network', 'list', 'blue'],
        ['network', 'remove', 'blue', '--mtu', '1300'],
        ['network', 'create', 'blue', '--mtu', 'much'],
      ]) {
        assert.equal((await ctl(...bad)).code, 2, bad.join(' '));
      }
    });

    it('status says why a contact has no link, and prints warnings with their cure', async () => {
      box.daemon.statusDocument = {
        ...twoNodeStatus(),
        peers: { known: 2, reachable: 1 },
        links: { ...twoNodeStatus().links, established: 0, rejected: 1 },
        contacts: [
          { contact: '192.0.2.2:6783', state: 'rejected', peer: null, reason: 'wrong password' },
        ],
        warnings: [{ code: 'pool-overlap', message: 'Pool overlaps', cure: 'Choose another.' }],
      };
      const { out } = await ctl('status');
      assert.match(
        out,
        /1 node \(this one included\), 0 links established, 1 rejected, 1 known node not reachable\n/,
      );
      assert.match(out, /192\.0\.2\.2:6783 {2}rejected {2}- {5}wrong password\n/);
      assert.match(out, /\nwarning: Pool overlaps \(pool-overlap\)\. Choose another\.\n$/);
    });

    it('status has a line for targets, exposed addresses, pool and names', async () => {
      box.daemon.statusDocument = {
        ...twoNodeStatus(),
        attachments: { attached: 3, waiting: 1 },
        ipam: {
          ...{ state: 'waiting', pools: ['10.32.0.0/12', 'fd12::/64'], used: 3, lost: 1 },
          ...{ reserved: ['10.32.0.9'], clashes: 1, waitingFor: ['beta'] },
        },
        dns: {
          ...{
            domain: 'overlay.internal',
            servers: ['169.254.7.9', '169.254.7.9'],
            upstreams: ['192.0.2.53'],
          },
          ...{ ttlSeconds: 1, names: 4 },
        },
        exposures: { addresses: ['192.168.0.1/24'], masquerade: true, name: 'gw' },
      };
      const lines = (await ctl('status')).out.split('\n');
      assert.deepEqual(lines.slice(10, 16), [
        '  targets     3 attached, 1 waiting',
        '  exposed     192.168.0.1/24 (masqueraded, as gw)',
        '  pool        10.32.0.0/12, fd12::/64; 3 addresses in use here; 1 of them',
        "              another's now; reserved 10.32.0.9; 1 used twice; waiting for beta",
        '  names       4 in overlay.internal, answered on 169.254.7.9; others asked at',
        '              192.0.2.53',
      ]);
    });

    it('a terminal gets the columns it has room for, a pipe gets all', async () => {
      const narrow = await runCli(['--socket', box.socket, 'peers'], { columns: 80 });
      const lines = narrow.out.trimEnd().split('\n');
      assert.ok(
        lines.every((line) => line.length <= 80),
        narrow.out,
      );
      assert.match(lines[0] ?? '', /^NAME +ID +STATE +PATH +ADDRESS +RTT +LOSS +WHY$/);
      assert.equal(
        lines.at(-1),
        'Not shown: ENDPOINT, PMTU, SENT, RECEIVED, CIPHER (--json, or a wider terminal)',
      );
      const wide = await runCli(['--socket', box.socket, 'peers'], { columns: 300 });
      assert.equal(wide.out, (await ctl('peers')).out);
    });

    it('--json prints the documents as the daemon made them', async () => {
      const daemon = box.daemon;
      const cases: readonly (readonly [string[], object])[] = [
        [['status'], daemon.status()],
        [['peers'], daemon.peers()],
        [['routes'], daemon.routes()],
        [['paths', 'beta'], daemon.paths('beta')],
        [['report'], daemon.report()],
      ];
      for (const [argv, document] of cases) {
        const { code, out, err } = await ctl('--json', ...argv);
        assert.deepEqual([code, err, JSON.parse(out)], [0, '', document], argv.join(' '));
      }
    });

    it('--json keeps keys that a newer daemon adds', async () => {
      box.daemon.statusDocument = Object.assign(twoNodeStatus(), { later: { added: true } });
      const { out } = await ctl('status', '--json');
      assert.deepEqual((JSON.parse(out) as { later: unknown }).later, { added: true });
    });

    it('peers lists this node first, aligned, with readable units', async () => {
      const { out } = await ctl('peers');
      assert.deepEqual(out.split('\n'), [
        'NAME   ID        STATE        PATH    ENDPOINT        ADDRESS        CIPHER         RTT  LOSS  PMTU     SENT  RECEIVED  WHY',
        'alpha  3f2a9c10  this node    -       -               10.47.0.10/12  -                -    0%  1472  1.23 MB     987 B',
        'beta   91be77aa  established  direct  192.0.2.2:6783  10.47.0.10/12  aes256gcm  0.31 ms    0%  1472  1.23 MB     987 B',
        '',
      ]);
    });

    it('paths and report can be read by people', async () => {
      const paths = await ctl('paths', '91be77aa');
      assert.match(paths.out, /^Paths to beta \(91be77aa/);
      assert.match(
        paths.out,
        /\n\* {2}direct {2}192\.0\.2\.2:6783 {2}working .* srttMs=0\.3 rttvarMs=0\.06\n/,
      );
      const report = await ctl('report');
      assert.match(
        report.out,
        /\nDropped, by reason:\n {2}no_peer {2}3\n\nCounters:\n {2}tx_frames {2}12\n/,
      );
      assert.match(report.out, /\n {2}ciphers {6}aes256gcm by ipsec-mb \(150 ns a packet\)\n/);
    });

    it('nothing a stranger names himself reaches the terminal as a command', async () => {
      const hostile = 'x\u001b]0;owned\u0007\u009b2J\u202e\r\n\u2028y';
      box.daemon.peerDocuments.push(
        peer(GAMMA_ID, hostile, { reason: hostile, endpoint: hostile }),
      );
      box.daemon.eventDocuments.push(event(3, 'peer-lost', { message: hostile, cure: hostile }));
      box.daemon.statusDocument = {
        ...twoNodeStatus(),
        self: { ...twoNodeStatus().self, nickname: hostile },
        warnings: [{ code: hostile, message: hostile, cure: hostile }],
      };
      for (const verb of ['status', 'peers', 'events', 'report']) {
        for (const json of [[], ['--json']]) {
          const { out } = await ctl(verb, ...json);
          assert.doesNotMatch(out, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}]/u, `${verb} ${json.join()}`);
          assert.ok(out.includes('owned'), verb);
        }
      }
    });

    it('connect stores endpoints and names them as stored', async () => {
      const { code, out, err } = await ctl('connect', '192.0.2.9', 'hub:7000');
      assert.deepEqual([code, err], [0, '']);
      assert.equal(out, 'Stored, dialling now: 192.0.2.9:6783\nStored, dialling now: hub:7000\n');
      assert.deepEqual(box.daemon.stored, ['192.0.2.9:6783', 'hub:7000']);
    });

    it('connect --wait returns when the link is established', async () => {
      const status = twoNodeStatus();
      const contact = {
        contact: 'hub:6783',
        state: 'handshaking',
        peer: null,
        reason: null,
      } as const;
      box.daemon.statusDocument = { ...status, contacts: [contact] };
      let looks = 0;
      const outcome = await runCli(['--socket', box.socket, 'connect', 'hub', '--wait'], {
        ...virtualTime(),
        sleep: () => {
          looks += 1;
          box.daemon.statusDocument = {
            ...status,
            contacts: [{ ...contact, state: 'established', peer: BETA_ID }],
          };
          return Promise.resolve();
        },
      });
      assert.deepEqual(outcome, { code: 0, out: 'Connected to hub:6783\n', err: '' });
      assert.equal(looks, 1);
    });

    it('connect --wait gives up with the reason', async () => {
      box.daemon.statusDocument = {
        ...twoNodeStatus(),
        contacts: [
          { contact: 'hub:6783', state: 'rejected', peer: null, reason: 'wrong password' },
        ],
      };
      const argv = ['--socket', box.socket, 'connect', '--wait', '--timeout', '2', 'hub'];
      assert.deepEqual(await runCli(argv, virtualTime()), {
        code: 1,
        out: '',
        err: "error: Waited 2 s: hub:6783 is rejected (wrong password) (OVL_TIMEOUT). 'overlayctl status' and 'overlayctl events' say what is in the way.\n",
      });
    });

    it('connect with a bad endpoint is refused whole, naming it', async () => {
      const { code, out, err } = await ctl('connect', '192.0.2.9', 'no!good');
      assert.deepEqual([code, out], [2, '']);
      assert.equal(
        err,
        "error: 'no!good' is not an endpoint (OVL_ENDPOINT_INVALID). Give host[:port] or [v6]:port.\n",
      );
      assert.deepEqual(box.daemon.stored, []);
    });

    it('forget is done also when there was nothing to forget', async () => {
      await ctl('connect', 'hub');
      const { code, out } = await ctl('forget', 'hub:6783', 'other:1');
      assert.deepEqual([code, out], [0, 'Forgotten: hub:6783\nWas not stored: other:1\n']);
    });

    it('paths takes a nickname or 8 digits, and lists the matches when they are not enough', async () => {
      box.daemon.peerDocuments.push(peer(GAMMA_ID, 'gamma', {}));
      assert.equal((await ctl('paths', 'gamma')).code, 0);
      assert.equal((await ctl('paths', GAMMA_ID.slice(0, 9))).code, 0);
      const ambiguous = await ctl('paths', '91be77aa');
      assert.deepEqual([ambiguous.code, ambiguous.out], [1, '']);
      assert.equal(
        ambiguous.err,
        `error: '91be77aa' names 2 peers: beta (${BETA_ID}), gamma (${GAMMA_ID}) (OVL_AMBIGUOUS). Give more digits of the id of the one you mean.\n`,
      );
      const short = await ctl('paths', '91be77');
      assert.equal(short.code, 1);
      assert.match(short.err, /OVL_NOT_FOUND\)\. Give at least 8 digits/);
      const odd = await ctl('--json', 'paths', '../status?x=%2e#/é');
      assert.equal(odd.code, 1);
      const { error } = JSON.parse(odd.err) as { error: Record<string, string> };
      assert.deepEqual([error['code'], error['value']], ['OVL_NOT_FOUND', '../status?x=%2e#/é']);
    });

    it('status --wait peers=N waits until they are there', async () => {
      const status = twoNodeStatus();
      box.daemon.statusDocument = { ...status, peers: { known: 1, reachable: 1 } };
      let sleeps = 0;
      const argv = ['--socket', box.socket, '--json', 'status', '--wait', 'peers=2'];
      const { code, out } = await runCli(argv, {
        ...virtualTime(),
        sleep: () => {
          sleeps += 1;
          if (sleeps === 3) box.daemon.statusDocument = status;
          return Promise.resolve();
        },
      });
      assert.deepEqual([code, JSON.parse(out), sleeps], [0, status, 3]);
    });

    it('status --wait ready says what is missing when the time is over', async () => {
      box.daemon.statusDocument = { ...twoNodeStatus(), ready: false };
      const ready = await runCli(['--socket', box.socket, 'status', '--wait=ready'], virtualTime());
      assert.deepEqual([ready.code, ready.out], [1, '']);
      assert.match(ready.err, /^error: Waited 30 s: the node is not ready yet \(OVL_TIMEOUT\)/);
      const argv = ['--socket', box.socket, 'status', '--wait', 'peers=5', '--timeout', '0'];
      const peers = await runCli(argv, virtualTime());
      assert.deepEqual([peers.code, peers.out], [1, '']);
      assert.match(peers.err, /Waited 0 s: 2 nodes of 5 reachable \(OVL_TIMEOUT\)/);
    });

    it('events prints what happened, --after only the newer', async () => {
      box.daemon.eventDocuments.push(
        event(3, 'wrong-password', {
          level: 'warn',
          message: 'The password does not match',
          endpoint: '192.0.2.2:6783',
          peer: BETA_ID,
          cure: 'Start both with the same.',
        }),
      );
      const { out } = await ctl('events', '--after', '2');
      assert.equal(
        out,
        '2026-01-02T03:04:05.000Z  warn   wrong-password       The password does not match [peer 91be77aa, 192.0.2.2:6783]\n' +
          '    what to do: Start both with the same.\n',
      );
      const lines = (await ctl('--json', 'events')).out.trim().split('\n');
      assert.deepEqual(
        lines.map((line) => JSON.parse(line) as unknown),
        box.daemon.eventDocuments.map((document) => ({ schema: 1, ...document })),
      );
    });

    it('events --follow prints each as it happens and ends with 3 when the daemon goes', async () => {
      let seen = '';
      const argv = ['--socket', box.socket, '--json', 'events', '--follow'];
      const outcome = runCli(argv, {
        out: (text) => {
          seen += text;
          const last = (JSON.parse(text) as { seq: number }).seq;
          if (last === 2) box.daemon.emit(event(3, 'peer-lost'));
          if (last === 3) void box.stop();
        },
      });
      const { code, err } = await outcome;
      assert.equal(code, 3);
      assert.match(
        err,
        /"code":"OVL_UNREACHABLE","message":"The daemon at .* has ended the stream"/,
      );
      assert.deepEqual(
        seen
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as { code: string }).code),
        ['daemon-ready', 'peer-established', 'peer-lost'],
      );
      assert.equal(box.daemon.listenerCount, 0);
    });

    it('peer remove says whether it is in force, and forces what it was told to', async () => {
      const refused = await ctl('peer', 'remove', 'beta');
      assert.deepEqual([refused.code, refused.out], [1, '']);
      assert.equal(refused.err, 'error: Peer beta is alive (OVL_PEER_ALIVE). Stop it.\n');
      const forced = await ctl('peer', 'remove', '--force', BETA_ID);
      assert.deepEqual([forced.code, forced.err], [0, '']);
      assert.match(forced.out, /^Signed: beta \(91be77aa\)\. In force once it is silent/);
      const done = await ctl('peer', 'remove', 'alpha');
      assert.deepEqual([done.code, done.out], [0, 'Removed: alpha (3f2a9c10)\n']);
      assert.deepEqual(box.daemon.removals, [
        { peer: 'beta', isForced: false },
        { peer: BETA_ID, isForced: true },
        { peer: 'alpha', isForced: false },
      ]);
    });

    it('version names both sides', async () => {
      const { code, out } = await ctl('--json', 'version');
      const document = JSON.parse(out) as Record<string, unknown>;
      assert.equal(code, 0);
      assert.deepEqual([document['schema'], document['daemon']], [1, document['version']]);
      assert.match(String(document['version']), /^\d+\.\d+\.\d+/);
    });

    it('reset asks the daemon, and returns when it has gone', async () => {
      let sleeps = 0;
      const { code, out, err } = await runCli(['--socket', box.socket, '--json', 'reset'], {
        ...virtualTime(),
        sleep: async () => {
          sleeps += 1;
          if (sleeps === 2) await box.stop();
        },
      });
      assert.deepEqual([err, sleeps], ['', 2]);
      assert.deepEqual(
        [code, JSON.parse(out), box.daemon.resets],
        [0, { schema: 1, reset: true }, 1],
      );
    });

    it('doctor lists the daemon and passes its warnings on', async () => {
      box.daemon.statusDocument = {
        ...twoNodeStatus(),
        warnings: [{ code: 'pool-overlap', message: 'Pool overlaps', cure: 'Choose another.' }],
      };
      const { out } = await ctl('--json', 'doctor');
      const { checks } = JSON.parse(out) as { checks: { name: string; state: string }[] };
      assert.deepEqual(
        checks.slice(-2).map(({ name, state }) => [name, state]),
        [
          ['daemon', 'ok'],
          ['pool-overlap', 'warn'],
        ],
      );
    });
  });

  describe('without a daemon', () => {
    it('a file that is no socket is not said to be a dead daemon', async () => {
      const { code, err } = await runCli(['--socket', '/etc/passwd', 'status']);
      assert.deepEqual(
        [code, err],
        [
          3,
          "error: No daemon is reachable: /etc/passwd is no socket (OVL_UNREACHABLE). Name overlayd's socket by --socket or OVERLAYD_SOCKET.\n",
        ],
      );
    });

    it('every asking verb exits 3 and leaves stdout empty', async () => {
      for (const argv of [
        ['status'],
        ['peers'],
        ['routes'],
        ['paths', 'x'],
        ['report'],
        ['events'],
        ['connect', 'x'],
        ['forget', 'x'],
      ]) {
        const { code, out, err } = await ctl(...argv);
        assert.deepEqual([code, out], [3, ''], argv[0]);
        assert.equal(
          err,
          `error: No daemon is reachable: there is no socket ${box.socket} (OVL_UNREACHABLE). Start overlayd, or name its socket by --socket or OVERLAYD_SOCKET.\n`,
        );
      }
    });

    it('--json turns the error into JSON on stderr, with the four keys', async () => {
      const { code, out, err } = await ctl('status', '--json');
      assert.deepEqual([code, out], [3, '']);
      const { error } = JSON.parse(err) as { error: Record<string, string> };
      assert.deepEqual(Object.keys(error), ['code', 'message', 'value', 'cure']);
      assert.deepEqual([error['code'], error['value']], ['OVL_UNREACHABLE', box.socket]);
    });

    it('status --wait exits 3 when no daemon comes, and succeeds when one does', async () => {
      const argv = ['--socket', box.socket, 'status', '--wait', 'ready', '--timeout', '3'];
      assert.equal((await runCli(argv, virtualTime())).code, 3);
      let sleeps = 0;
      const { code } = await runCli(argv, {
        ...virtualTime(),
        sleep: async () => {
          sleeps += 1;
          if (sleeps === 2) await box.start();
        },
      });
      assert.deepEqual([code, sleeps], [0, 2]);
    });

    it('version still answers', async () => {
      const { code, out } = await ctl('--json', 'version');
      assert.deepEqual([code, (JSON.parse(out) as { daemon: unknown }).daemon], [0, null]);
    });

    it('reset removes what a dead daemon left', async () => {
      const asked: string[] = [];
      const argv = ['--socket', box.socket, 'reset', '--ifname', 'ovl7'];
      const { code, out } = await runCli(argv, {
        removeLeftovers: (name) => {
          asked.push(name);
          return Promise.resolve(['ovl7', 'ovl7-t']);
        },
      });
      assert.deepEqual([code, asked], [0, ['ovl7']]);
      assert.match(out, /^No daemon runs\. Removed: ovl7, ovl7-t\.\n/);
      assert.match((await ctl('reset')).out, /nothing to do\.\n$/);
    });

    it('reset refuses what a running daemon behind another socket holds', async () => {
      const { code, out, err } = await runCli(['--socket', box.socket, 'reset'], {
        removeLeftovers: () =>
          Promise.reject(
            new OverlayError('OVL_IFACE_FOREIGN', 'Interface overlay0-t is held', {
              cure: 'Stop it',
            }),
          ),
      });
      assert.deepEqual(
        [code, out, err],
        [1, '', 'error: Interface overlay0-t is held (OVL_IFACE_FOREIGN). Stop it\n'],
      );
    });

    it('doctor warns that none runs', async () => {
      const { out } = await ctl('--json', 'doctor');
      const { checks } = JSON.parse(out) as { checks: { name: string; state: string }[] };
      assert.equal(checks.find(({ name }) => name === 'daemon')?.state, 'warn');
    });
  });

  describe('bad usage', () => {
    const cases: readonly (readonly [string[], RegExp])[] = [
      [[], /No verb is given \(OVL_USAGE\)/],
      [
        ['stauts'],
        /no verb 'stauts' \(OVL_USAGE\)\. Did you mean 'status'\? 'overlayctl --help' lists all\.$/m,
      ],
      [['entangle', 'x'], /no verb 'entangle' \(OVL_USAGE\)\. .*Verbs: /],
      [['status', '--wiat', 'ready'], /no option '--wiat' here .* Did you mean '--wait'\?/],
      [['--frob', 'status'], /no option '--frob' before the verb/],
      [['--socket'], /--socket wants a value/],
      [['--socket=', 'status'], /--socket wants a value/],
      [['status', '--wait', 'peers=0'], /--wait is 'peers=0' .*N from 1/],
      [['status', '--wait', 'soon'], /--wait is 'soon'/],
      [['status', '--timeout', '-1'], /--timeout/],
      [['status', '--timeout', '99999999'], /--timeout is '99999999'/],
      [['status', '--json=yes'], /--json takes no value, got 'yes'/],
      [['status', 'extra'], /'status' takes no arguments, got 'extra'/],
      [['paths'], /'paths' wants <peer>/],
      [['paths', 'a', 'b'], /takes at most 1 argument, got 'b'/],
      [['paths', ''], /An argument of 'paths' is empty/],
      [['connect'], /'connect' wants <endpoint>\.\.\./],
      [['events', '--after', 'x'], /--after is 'x'/],
      [['reset', '--ifname', 'much-too-long-name'], /--ifname is/],
      [['peer'], /'peer' wants remove <peer>/],
      [['peer', 'remove'], /'peer remove' wants a peer/],
      [['peer', 'forget', 'x'], /There is no 'peer forget'/],
      [['peer', 'remove', 'x', 'y'], /takes at most 2 arguments, got 'y'/],
      [['completion', 'fish'], /no completion for 'fish'/],
      [['help', 'nothing'], /no verb 'nothing'/],
    ];
    for (const [argv, message] of cases) {
      it(`exits 2: overlayctl ${argv.join(' ')}`, async () => {
        const { code, out, err } = await runCli(argv, { env: { OVERLAYD_SOCKET: box.socket } });
        assert.deepEqual([code, out], [2, '']);
        assert.match(err, message);
        assert.match(err, /^error: .*\n$/);
      });
    }

    it('a socket path longer than the kernel takes is named with its length', async () => {
      const { code, out, err } = await runCli(['status', '--socket', `/${'x'.repeat(107)}`]);
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, /has 108 bytes, the kernel takes 1 to 107 \(OVL_SOCKET_PATH\)/);
    });
  });

  it('any command line ends with one of the exit codes, and stdout is empty unless it worked', async () => {
    const words = [
      ...VERBS.flatMap(({ name, options }) => [name, ...Object.keys(options).map((o) => `--${o}`)]),
      ...['--json', '--help', '--', '-', '-h', '--socket', '--socket=x', 'peers=2', '0', '', '-x'],
      ...['__proto__', '--__proto__', '--constructor=1', '--no-json'],
    ];
    const word = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...words) }, fc.string());
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
        const env = { OVERLAYD_SOCKET: box.socket };
        const { code, out, err } = await runCli(argv, { env, ...virtualTime() });
        assert.ok([0, 1, 2, 3].includes(code));
        assert.doesNotMatch(err, /OVL_INTERNAL/);
        if (code === 0) assert.equal(err, '');
        else if (out !== '') assert.ok(argv.includes('doctor'));
        else assert.notEqual(err, '');
      }),
      { numRuns: 300 },
    );
  });

  describe('help', () => {
    it('every verb explains itself with all of its options and an example', async () => {
      for (const verb of VERBS) {
        const { code, out, err } = await runCli([verb.name, '--help']);
        assert.deepEqual([code, err], [0, ''], verb.name);
        for (const option of Object.keys(verb.options)) assert.ok(out.includes(`--${option}`));
        assert.match(out, /\nExamples:\n {2}\S/);
        assert.equal((await runCli(['help', verb.name])).out, out);
      }
    });

    it('the overview lists every verb', async () => {
      for (const argv of [['--help'], ['-h'], ['help']]) {
        const { code, out } = await runCli(argv);
        assert.equal(code, 0);
        for (const verb of VERBS) assert.ok(out.includes(`\n  ${verb.name} `), verb.name);
      }
    });
  });

  describe('as a program', () => {
    it('answers from the socket named by OVERLAYD_SOCKET', async () => {
      await box.start();
      const { code, out, err } = await spawnCli(['--json', 'status'], {
        OVERLAYD_SOCKET: box.socket,
      });
      assert.deepEqual([code, err, JSON.parse(out)], [0, '', twoNodeStatus()]);
    });

    it('uses its exit codes', async () => {
      const env = { OVERLAYD_SOCKET: box.socket };
      assert.equal((await spawnCli(['status'], env)).code, 3);
      assert.equal((await spawnCli(['nonsense'], env)).code, 2);
      await box.start();
      assert.equal((await spawnCli(['paths', 'nobody'], env)).code, 1);
    });

    it('reset without daemon and without leftovers is done', async () => {
      const { code, err } = await spawnCli(['reset', '--ifname', 'ovltestnone'], {
        OVERLAYD_SOCKET: box.socket,
      });
      assert.deepEqual([code, err], [0, '']);
    });
  });
});
