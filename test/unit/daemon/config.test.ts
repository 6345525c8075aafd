import assert from 'node:assert/strict';

import fc from 'fast-check';

import { OverlayError } from '../../../src/base/errors.js';
import type { DaemonConfig } from '../../../src/daemon/config.js';
import { loadConfig } from '../../../src/daemon/config.js';
import { FLAGS } from '../../../src/daemon/flags.js';

function load(argv: readonly string[], files: Readonly<Record<string, string>> = {}) {
  return loadConfig({
    argv,
    hostname: 'alpha',
    cwd: '/work',
    version: '1.2.3',
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return text;
    },
  });
}
function configOf(argv: readonly string[], file?: object): DaemonConfig {
  const files = file === undefined ? {} : { '/etc/o.json': JSON.stringify(file) };
  const all = file === undefined ? argv : ['--config', '/etc/o.json', ...argv];
  const outcome = load(all, files);
  assert.equal(outcome.kind, 'run');
  return outcome.config;
}
function refusal(action: () => unknown): OverlayError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof OverlayError, String(error));
    assert.notEqual(error.cure, '');
    return error;
  }
  return assert.fail('nothing was refused');
}

describe('configuration of the daemon', () => {
  it('has the defaults of the command surface', () => {
    assert.deepEqual(configOf([]), {
      password: { kind: 'elsewhere' },
      meshName: 'default',
      nickname: 'alpha',
      port: 6783,
      bind: [],
      advertise: [],
      peers: [],
      stateDir: '/var/lib/overlayd',
      socketPath: '/run/overlayd/overlayd.sock',
      ifName: 'overlay0',
      addressMode: 'auto',
      mtuBytes: 1388,
      pool: '10.32.0.0/12',
      defaultSubnet: '10.32.0.0/12',
      leaseMs: 86_400_000,
      discovery: true,
      relay: true,
      allowBench: false,
      suites: [2, 1, 4],
      dnsDomain: 'overlay.internal',
      dns: true,
      logLevel: 'info',
      configPath: undefined,
    });
  });

  it('reads every flag', () => {
    const config = configOf(
      (
        '--password-file - --peer a.example --mesh office --port 7000 --bind 192.0.2.1 --bind fd00::1 ' +
        '--advertise [2001:db8::1]:99 --nickname beta --state-dir s --socket t/x.sock --ifname ovl1 ' +
        '--address 10.47.0.9/12 --mtu 1280 --ipalloc-range 10.48.0.0/16 --ipalloc-default-subnet 10.48.1.0/24 ' +
        '--ipam-lease 90m --no-discovery --no-relay --allow-bench --cipher chacha20poly1305,aes256gcm --dns-domain Mesh.Example. ' +
        '--no-dns --log-level debug 192.0.2.9:1'
      ).split(' '),
    );
    assert.deepEqual(config, {
      password: { kind: 'file', path: '-' },
      meshName: 'office',
      nickname: 'beta',
      port: 7000,
      bind: ['192.0.2.1', 'fd00::1'],
      advertise: ['[2001:db8::1]:99'],
      peers: ['a.example', '192.0.2.9:1'],
      stateDir: '/work/s',
      socketPath: '/work/t/x.sock',
      ifName: 'ovl1',
      addressMode: { cidr: '10.47.0.9/12' },
      mtuBytes: 1280,
      pool: '10.48.0.0/16',
      defaultSubnet: '10.48.1.0/24',
      leaseMs: 5_400_000,
      discovery: false,
      relay: false,
      allowBench: true,
      suites: [1, 2],
      dnsDomain: 'mesh.example',
      dns: false,
      logLevel: 'debug',
      configPath: undefined,
    });
  });

  it('another state directory brings its own socket, unless one is given', () => {
    assert.equal(configOf(['--state-dir', '/srv/o']).socketPath, '/srv/o/overlayd.sock');
    assert.equal(configOf(['--state-dir', '/srv/o', '--socket', '/x']).socketPath, '/x');
    const sameInOtherWords = configOf(['--state-dir', '/var/lib/overlayd/']).socketPath;
    assert.equal(sameInOtherWords, '/run/overlayd/overlayd.sock');
  });

  it('a flag beats the key of the same name, as a whole', () => {
    const file = {
      port: 7000,
      peer: ['a', 'b'],
      mesh: 'office',
      'no-relay': true,
      'no-dns': false,
    };
    const config = configOf(['--port', '7001', '--peer', 'c', 'd'], file);
    assert.equal(config.port, 7001);
    assert.deepEqual(config.peers, ['c', 'd']);
    assert.equal(config.meshName, 'office');
    assert.equal(config.relay, false);
    assert.equal(config.dns, true);
    assert.equal(config.configPath, '/etc/o.json');
  });

  it('a password flag of either kind beats both keys', () => {
    const given = configOf(['--password', 'flag'], { 'password-file': '/p' }).password;
    assert.deepEqual(given, { kind: 'given', password: 'flag' });
    const file = configOf(['--password-file', '/p'], { password: 'key' }).password;
    assert.deepEqual(file, { kind: 'file', path: '/p' });
    assert.deepEqual(configOf([], { password: 'key' }).password, {
      kind: 'given',
      password: 'key',
    });
  });

  const badFlags: readonly [string, string, RegExp?][] = [
    ['--port 0', 'OVL_USAGE'],
    ['--port 65536', 'OVL_USAGE'],
    ['--port -1', 'OVL_USAGE'],
    ['--port 80x', 'OVL_USAGE'],
    ['--mtu 1279', 'OVL_USAGE', /1280/],
    ['--mtu 9001', 'OVL_USAGE', /9000/],
    ['--mtu big', 'OVL_USAGE'],
    ['--ifname abcdefghijklmn', 'OVL_USAGE', /13/],
    ['--ifname a/b', 'OVL_USAGE'],
    ['--ifname -t', 'OVL_USAGE'],
    ['--ifname all', 'OVL_USAGE'],
    ['--cipher aes256gmc', 'OVL_USAGE', /Did you mean aes256gcm\?/],
    ['--cipher none', 'OVL_USAGE', /Choose from/],
    ['--cipher aes256gcm,', 'OVL_USAGE'],
    ['--log-level loud', 'OVL_USAGE', /debug, info, warn, error/],
    ['--ipam-lease 24', 'OVL_USAGE'],
    ['--ipam-lease 0h', 'OVL_USAGE'],
    ['--address 10.0.0.1', 'OVL_ADDRESS_INVALID'],
    ['--address 10.0.0.1/33', 'OVL_ADDRESS_INVALID'],
    ['--address 10.32.0.0/12', 'OVL_ADDRESS_INVALID', /host/],
    ['--address 10.47.255.255/12', 'OVL_ADDRESS_INVALID'],
    ['--address 224.0.0.5/24', 'OVL_ADDRESS_INVALID'],
    ['--address 127.0.0.1/8', 'OVL_ADDRESS_INVALID'],
    ['--address automatic', 'OVL_ADDRESS_INVALID'],
    ['--ipalloc-range 10.33.0.0/12', 'OVL_ADDRESS_INVALID', /Give 10\.32\.0\.0\/12/],
    ['--ipalloc-range 10.32.0.0', 'OVL_ADDRESS_INVALID'],
    ['--ipalloc-range 10.32.0.0/30', 'OVL_ADDRESS_INVALID'],
    ['--ipalloc-range fd00::/64', 'OVL_ADDRESS_INVALID'],
    ['--ipalloc-default-subnet 10.48.0.0/16', 'OVL_ADDRESS_INVALID'],
    ['--ipalloc-default-subnet 10.32.0.0/8', 'OVL_ADDRESS_INVALID'],
    ['--ipalloc-default-subnet 10.32.1.1/24', 'OVL_ADDRESS_INVALID', /10\.32\.1\.0\/24/],
    ['--bind eth0', 'OVL_USAGE'],
    ['--bind 10.1', 'OVL_USAGE'],
    ['--peer 10.0.0.256', 'OVL_ENDPOINT_INVALID'],
    ['--peer a:0', 'OVL_ENDPOINT_INVALID'],
    ['--peer a:70000', 'OVL_ENDPOINT_INVALID'],
    ['--peer a:', 'OVL_ENDPOINT_INVALID'],
    ['--peer [fd00::1', 'OVL_ENDPOINT_INVALID'],
    ['--peer [10.0.0.1]:1', 'OVL_ENDPOINT_INVALID'],
    ['--peer a_b..c', 'OVL_ENDPOINT_INVALID'],
    ['--advertise :6783', 'OVL_ENDPOINT_INVALID'],
    ['--dns-domain a..b', 'OVL_USAGE'],
    ['--port 1 --port 2', 'OVL_USAGE', /once/],
    ['--password-file a --password b', 'OVL_USAGE', /one of them/],
  ];
  for (const [line, code, cure] of badFlags) {
    it(`refuses ${line} and says what would do`, () => {
      const error = refusal(() => configOf(line.split(' ')));
      assert.equal(error.code, code);
      assert.match(error.cure, cure ?? /./);
      assert.ok(error.message.includes('--'), error.message);
    });
  }

  it('refuses a socket path that the kernel cannot take', () => {
    const error = refusal(() => configOf(['--socket', `/${'x'.repeat(107)}`]));
    assert.equal(error.code, 'OVL_SOCKET_PATH');
    assert.equal(configOf(['--socket', `/${'x'.repeat(106)}`]).socketPath.length, 107);
    const byDefault = refusal(() => configOf(['--state-dir', `/${'x'.repeat(100)}`]));
    assert.equal(byDefault.code, 'OVL_SOCKET_PATH');
  });

  it('suggests the flag that was meant and never shows what came with it', () => {
    const error = refusal(() => configOf(['--pasword=hunter2']));
    assert.equal(error.code, 'OVL_USAGE');
    assert.equal(error.message, "Unknown flag '--pasword'");
    assert.equal(error.cure, 'Did you mean --password?');
    assert.match(refusal(() => configOf(['--frobnicate'])).cure, /--help/);
    assert.match(refusal(() => configOf(['--port'])).message, /--port.*needs a value/);
  });

  it('a password given twice is refused without showing it', () => {
    const error = refusal(() => configOf(['--password', 'hunter2', '--password', 'hunter3']));
    assert.doesNotMatch(error.message + error.value + error.cure, /hunter/);
  });

  it('refuses unknown keys of the file with a suggestion', () => {
    const error = refusal(() => configOf([], { ifnmae: 'x' }));
    assert.equal(error.code, 'OVL_CONFIG_INVALID');
    assert.match(error.message, /\/etc\/o\.json.*'ifnmae'/);
    assert.equal(error.cure, "Did you mean 'ifname'?");
    assert.equal(
      refusal(() => configOf([], { ip_alloc_range: 'x' })).cure,
      "Did you mean 'ipalloc-range'?",
    );
    assert.match(refusal(() => configOf([], { frobnicate: 1 })).cure, /Keys are: password, /);
  });

  it('refuses values of the wrong shape in the file', () => {
    for (const file of [
      { port: [1] },
      { port: true },
      { mesh: null },
      { 'no-relay': 'yes' },
      { peer: [['a']] },
      { peer: { a: 1 } },
      { password: 12345678 },
      { config: '/x' },
    ]) {
      assert.equal(
        refusal(() => configOf([], file)).code,
        'OVL_CONFIG_INVALID',
        JSON.stringify(file),
      );
    }
    assert.equal(refusal(() => configOf([], { port: 0 })).code, 'OVL_USAGE');
  });

  it('a file that is not there or no JSON object is refused, without quoting it', () => {
    const absent = refusal(() => load(['--config', 'o.json']));
    assert.match(absent.message, /\/work\/o\.json: ENOENT/);
    const broken = refusal(() =>
      load(['--config', '/c'], { '/c': '{"password": "hunter2",\n x}' }),
    );
    assert.equal(broken.code, 'OVL_CONFIG_INVALID');
    assert.doesNotMatch(broken.message, /hunter2/);
    assert.equal(
      refusal(() => load(['--config', '/c'], { '/c': '[]' })).code,
      'OVL_CONFIG_INVALID',
    );
  });

  it('help names every flag; help and version are printed, not run', () => {
    const help = load(['--help']);
    assert.equal(help.kind, 'print');
    for (const flag of FLAGS) assert.ok(help.text.includes(`--${flag.name}`), flag.name);
    assert.deepEqual(load(['--version']), { kind: 'print', text: '1.2.3\n' });
  });

  it('accepts endpoints as people write them', () => {
    const peers = [
      'host',
      'host.example.:1',
      '10.0.0.1',
      '10.0.0.1:65535',
      'fd00::1',
      '[fd00::1]',
      '[::1]:9',
    ];
    assert.deepEqual(configOf(peers).peers, peers);
  });

  it('whatever is typed, the answer is a configuration, a text or an OverlayError', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(...FLAGS.map((flag) => `--${flag.name}`)),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        try {
          load(argv);
        } catch (error) {
          assert.ok(error instanceof OverlayError, String(error));
        }
      }),
    );
  });
});
