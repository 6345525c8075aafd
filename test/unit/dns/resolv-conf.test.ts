import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';

import { parseResolvConf, renderResolvConf } from '../../../src/dns/resolv-conf.js';
import { ResolvConfUpstreams } from '../../../src/dns/upstreams.js';

describe('resolv.conf', () => {
  it('is read as the C library reads it', () => {
    const text = [
      '# nameserver 192.0.2.9',
      'domain old.example',
      '  nameserver   192.0.2.1 ',
      'nameserver 2001:DB8::1',
      'nameserver fe80::1%eth0',
      'nameserver 192.0.2.1',
      'nameserver nonsense',
      'nameserver',
      'search Example.com. corp.example',
      'options ndots:2 timeout:1',
      'options edns0',
      '; end',
    ].join('\n');
    assert.deepEqual(parseResolvConf(text), {
      nameservers: ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0'],
      search: ['example.com', 'corp.example'],
      options: ['ndots:2', 'timeout:1', 'edns0'],
    });
  });

  it('names at most eight servers', () => {
    const lines = Array.from({ length: 20 }, (_, i) => `nameserver 192.0.2.${i}`);
    assert.equal(parseResolvConf(lines.join('\n')).nameservers.length, 8);
  });

  it('written is read as the same', () => {
    const word = fc.stringMatching(/^[a-z0-9:.]{0,8}[a-z0-9]$/);
    const address = fc.constantFrom('192.0.2.1', 'fd00::53', 'fe80::1%eth-ovl');
    fc.assert(
      fc.property(
        fc.uniqueArray(address),
        fc.array(word),
        fc.array(word),
        (nameservers, search, options) => {
          const conf = { nameservers, search, options };
          assert.deepEqual(parseResolvConf(renderResolvConf(conf)), conf);
        },
      ),
    );
  });
});

describe('the upstream servers', () => {
  let folder = '';
  let nowMs = 0;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dns-upstreams-'));
    nowMs = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const follow = (path: string, own: readonly string[] = []) => {
    const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
    const upstreams = new ResolvConfUpstreams(
      { clock },
      { path, isOwn: (address) => own.includes(address) },
    );
    return () => upstreams.current().map(({ address }) => address);
  };

  it('follow the file when it is written, replaced, linked elsewhere, removed and made again', () => {
    const path = join(folder, 'resolv.conf');
    const current = follow(path);
    assert.deepEqual(current(), []);
    const expectAfter = (change: () => void, expected: readonly string[]): void => {
      change();
      nowMs += 1000;
      assert.deepEqual(current(), expected);
    };
    expectAfter(() => writeFileSync(path, 'nameserver 192.0.2.1\n'), ['192.0.2.1']);
    expectAfter(() => {
      writeFileSync(`${path}.new`, 'nameserver 192.0.2.2\n');
      renameSync(`${path}.new`, path);
    }, ['192.0.2.2']);
    expectAfter(() => unlinkSync(path), []);
    expectAfter(() => {
      writeFileSync(join(folder, 'stub'), 'nameserver 192.0.2.33\n');
      symlinkSync('stub', path);
    }, ['192.0.2.33']);
    expectAfter(() => writeFileSync(join(folder, 'stub'), 'nameserver 192.0.2.4\n'), ['192.0.2.4']);
  });

  it('are looked at once a second at most', () => {
    const path = join(folder, 'resolv.conf');
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    const current = follow(path);
    assert.deepEqual(current(), ['192.0.2.1']);
    writeFileSync(path, 'nameserver 192.0.2.200\n');
    nowMs = 999;
    assert.deepEqual(current(), ['192.0.2.1']);
    nowMs = 1000;
    assert.deepEqual(current(), ['192.0.2.200']);
  });

  it('never are ourselves', () => {
    const path = join(folder, 'resolv.conf');
    writeFileSync(path, 'nameserver 127.0.0.1\nnameserver 192.0.2.1\n');
    assert.deepEqual(follow(path, ['127.0.0.1'])(), ['192.0.2.1']);
  });
});
