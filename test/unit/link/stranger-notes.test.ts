import assert from 'node:assert/strict';

import { seededRng } from '../../../src/base/rng.js';
import { Actions } from '../../../src/link/actions.js';
import { Links } from '../../../src/link/links.js';
import { at, countingCrypto, OWN } from './fixtures.js';

describe('events that strangers cause', () => {
  it('are few, however many datagrams of another mesh come', () => {
    const components = { crypto: countingCrypto(), rng: seededRng(1) };
    const options = { ownId: OWN, mtuBytes: 1388, rekeyAfterMs: 120_000, overlay: [] };
    const links = new Links(components, options);
    const out = new Actions();
    for (let tenth = 0; tenth < 600; tenth++) {
      links.onEvent({ kind: 'otherMesh', from: at(tenth % 250) }, tenth * 100, out);
    }
    const notes = out.list.filter((action) => action.kind === 'note');
    assert.ok(notes.length >= 1 && notes.length <= 6, `${String(notes.length)} in a minute`);
  });
});
