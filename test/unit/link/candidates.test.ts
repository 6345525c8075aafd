import assert from 'node:assert/strict';

import { candidateRule } from '../../../src/link/candidates.js';
import { parseEndpoint } from '../../../src/model/endpoint.js';

describe('candidates', () => {
  const rule = candidateRule(['10.32.0.0/12', 'fd12:3456::1/64', '192.168.77.5/24', 'nonsense']);
  const judge = (text: string) => {
    const endpoint = parseEndpoint(text);
    assert.ok(endpoint, text);
    return rule(endpoint);
  };

  it('may not lie in the pool or another prefix of the overlay', () => {
    assert.equal(judge('10.32.0.1:6783'), 'overlay');
    assert.equal(judge('10.47.255.254:6783'), 'overlay');
    assert.equal(judge('[::ffff:10.40.0.1]:6783'), 'overlay');
    assert.equal(judge('[fd12:3456::abcd]:6783'), 'overlay');
    assert.equal(judge('192.168.77.200:1'), 'overlay');
  });

  it('may lie right beside it, and on this host', () => {
    for (const text of [
      '10.31.255.255:6783',
      '10.48.0.0:6783',
      '[fd12:3456:0:1::1]:6783',
      '192.168.78.1:6783',
      '127.0.0.1:6784',
      '[::1]:6784',
    ]) {
      assert.equal(judge(text), undefined, text);
    }
  });

  it('are addresses of one host and a port', () => {
    for (const text of [
      '224.0.0.1:6783',
      '255.255.255.255:6783',
      '[ff02::1]:6783',
      '0.0.0.0:6783',
      '[::]:1',
      '192.0.2.1:0',
    ]) {
      assert.equal(judge(text), 'not unicast', text);
    }
  });
});
