import assert from 'node:assert/strict';

import { OverlayError } from '../../../src/base/errors.js';
import type { PasswordFrom } from '../../../src/daemon/config.js';
import { passwordWarning, readPassword } from '../../../src/daemon/password.js';

const SECRET = 'correct horse battery';

function read(
  from: PasswordFrom,
  env: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
): string {
  return readPassword(from, {
    env,
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
      return text;
    },
  });
}
function refusal(action: () => unknown): OverlayError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof OverlayError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}
const elsewhere = { kind: 'elsewhere' } as const;
const credential = { '/run/credentials/overlayd-password': `${SECRET}\n` };
const credentialEnv = { CREDENTIALS_DIRECTORY: '/run/credentials' };

describe('password of the mesh', () => {
  it('comes from the flag, the file, the environment or the systemd credential', () => {
    assert.equal(read({ kind: 'given', password: SECRET }, { OVERLAYD_PASSWORD: 'env' }), SECRET);
    assert.equal(read({ kind: 'file', path: '-' }, {}, { '-': `${SECRET}\r\n` }), SECRET);
    assert.equal(read(elsewhere, { OVERLAYD_PASSWORD: SECRET, ...credentialEnv }), SECRET);
    assert.equal(read(elsewhere, credentialEnv, credential), SECRET);
  });

  it('keeps all white space but one newline at the end', () => {
    assert.equal(read({ kind: 'file', path: '/p' }, {}, { '/p': ' a b \n' }), ' a b ');
  });

  it('is missing when no source has it', () => {
    assert.equal(refusal(() => read(elsewhere)).code, 'OVL_PASSWORD_MISSING');
    assert.equal(refusal(() => read(elsewhere, credentialEnv)).code, 'OVL_PASSWORD_MISSING');
    const absent = refusal(() => read({ kind: 'file', path: '/p' }));
    assert.equal(absent.code, 'OVL_PASSWORD_MISSING');
    assert.match(absent.message, /\/p: ENOENT/);
  });

  it('an empty one is refused and no other source asked', () => {
    const env = { OVERLAYD_PASSWORD: SECRET };
    assert.equal(
      refusal(() => read({ kind: 'given', password: '' }, env)).code,
      'OVL_PASSWORD_MISSING',
    );
    assert.equal(
      refusal(() => read({ kind: 'file', path: '/p' }, env, { '/p': '\n' })).code,
      'OVL_PASSWORD_MISSING',
    );
    assert.equal(
      refusal(() => read(elsewhere, { OVERLAYD_PASSWORD: '', ...credentialEnv }, credential)).code,
      'OVL_PASSWORD_MISSING',
    );
  });

  it('several lines or more than 1024 bytes are refused, and not shown', () => {
    for (const password of [`${SECRET}\n${SECRET}`, SECRET.repeat(60)]) {
      const error = refusal(() => read({ kind: 'given', password }));
      assert.equal(error.code, 'OVL_USAGE');
      assert.doesNotMatch(error.message + error.value + error.cure, /horse/);
    }
  });

  it('a short one is used with a warning that does not show it', () => {
    assert.equal(passwordWarning(SECRET), undefined);
    const warning = passwordWarning('hunter2');
    assert.equal(warning?.code, 'short-password');
    assert.doesNotMatch(JSON.stringify(warning), /hunter2/);
  });
});
