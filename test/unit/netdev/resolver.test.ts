import assert from 'node:assert/strict';

import { createResolver } from '../../../src/netdev/resolver.js';

type Found = readonly { readonly address: string }[];

describe('resolver', () => {
  it('passes literals through without asking anybody', async () => {
    const resolver = createResolver(() => assert.fail('asked'));
    assert.deepEqual(await resolver.resolve('192.0.2.1'), ['192.0.2.1']);
    assert.deepEqual(await resolver.resolve('2001:db8::1'), ['2001:db8::1']);
  });

  it('gives all addresses of a name, each once', async () => {
    const resolver = createResolver(() =>
      Promise.resolve([{ address: '192.0.2.1' }, { address: 'fd00::1' }, { address: '192.0.2.1' }]),
    );
    assert.deepEqual(await resolver.resolve('a.example'), ['192.0.2.1', 'fd00::1']);
  });

  it('a failure is the empty list', async () => {
    const resolver = createResolver(() => Promise.reject(new Error('ENOTFOUND')));
    assert.deepEqual(await resolver.resolve('a.example'), []);
  });

  it('looks up two names at once at most, each once, the others in turn', async () => {
    const started: string[] = [];
    const finish = new Map<string, (found: Found) => void>();
    const resolver = createResolver((host) => {
      started.push(host);
      return new Promise((resolve) => finish.set(host, resolve));
    });
    const answers = ['a', 'b', 'a', 'c', 'd'].map((host) => resolver.resolve(host));
    assert.deepEqual(started, ['a', 'b']);
    for (const host of ['a', 'b', 'c', 'd']) {
      while (!finish.has(host)) await Promise.resolve();
      finish.get(host)?.([{ address: `192.0.2.${host.charCodeAt(0)}` }]);
    }
    assert.deepEqual((await Promise.all(answers)).flat(), [
      '192.0.2.97',
      '192.0.2.98',
      '192.0.2.97',
      '192.0.2.99',
      '192.0.2.100',
    ]);
    assert.deepEqual(started, ['a', 'b', 'c', 'd']);
  });
});
