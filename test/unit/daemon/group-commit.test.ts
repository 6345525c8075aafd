import assert from 'node:assert/strict';

import { GroupCommit } from '../../../src/daemon/group-commit.js';

describe('group commit', () => {
  it('writes what comes in one turn at once, and what comes next with the next', async () => {
    const groups: string[] = [];
    const writes = new GroupCommit<string>((items) => groups.push(items.join()));
    await Promise.all(['a', 'b', 'c'].map((item) => writes.add(item)));
    await writes.add('d');
    assert.deepEqual(groups, ['a,b,c', 'd']);
  });

  it('fails only who cannot be written, and writes the others', async () => {
    const written: string[] = [];
    const writes = new GroupCommit<string>((items) => {
      if (items.includes('bad')) throw new Error('too large');
      written.push(...items);
    });
    const outcomes = await Promise.allSettled(['a', 'bad', 'b'].map((item) => writes.add(item)));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(written, ['a', 'b']);
  });

  it('writes at once when it is told to', () => {
    const groups: string[] = [];
    const writes = new GroupCommit<string>((items) => groups.push(items.join()));
    void writes.add('a');
    writes.flush();
    assert.deepEqual(groups, ['a']);
  });
});
