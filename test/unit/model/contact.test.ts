import assert from 'node:assert/strict';

import { parseContact } from '../../../src/model/contact.js';

const textOf = (text: string) => parseContact(text, 6783)?.text;

describe('contact', () => {
  it('is canonical, with the port always present', () => {
    assert.equal(textOf('192.0.2.1'), '192.0.2.1:6783');
    assert.equal(textOf('192.0.2.1:7'), '192.0.2.1:7');
    assert.equal(textOf('Host.Example'), 'host.example:6783');
    assert.equal(textOf('2001:DB8::1'), '[2001:db8::1]:6783');
    assert.equal(textOf('[2001:db8:0::1]:99'), '[2001:db8::1]:99');
    assert.equal(textOf('::ffff:192.0.2.1'), '192.0.2.1:6783');
  });

  it('refuses what is neither an address nor a name', () => {
    for (const text of [
      '',
      ' ',
      ':1',
      'a b',
      '256.1.1.1',
      '10.1',
      '[1.2.3.4]:5',
      'h:0',
      'h:65536',
      '-x',
      'a..b',
    ]) {
      assert.equal(textOf(text), undefined, text);
    }
  });
});
