import assert from 'node:assert/strict';

import { namespaceTargets } from '../../../src/netdev/targets.js';

describe('targets', () => {
  it('are refused with what was looked for', () => {
    const cases = [
      ['no-such-namespace', /looked for namespace \/run\/netns\/no-such-namespace/],
      ['/etc/passwd', /namespace \/etc\/passwd/],
      ['/run/netns/../../etc/passwd', /There is no target/],
      ['pid:0', /process 0/],
      ['pid:4194999999', /process 4194999999/],
      ['pid:x', /process x/],
      ['tap:', /interface name/],
      ['tap:a name', /interface name/],
      ['tap:far-too-long-for-it', /interface name/],
      ['docker:web', /There is no target 'docker:web': 'docker:' is no kind of target/],
      ['phys:eth1', /'phys:' is no kind of target/],
      ['..', /There is no target/],
      ['a b', /There is no target/],
      ['', /There is no target/],
    ] as const;
    for (const [text, message] of cases) {
      assert.throws(
        () => namespaceTargets.find(text),
        { code: 'OVL_TARGET_UNKNOWN', message },
        text,
      );
    }
  });

  it('tell how a container is reached', () => {
    const cures = [
      ['docker:web', /pid:\$\(docker inspect -f '\{\{\.State\.Pid\}\}' web\)$/],
      ['podman:a b; c', /podman inspect .* <name>\)$/],
    ] as const;
    for (const [text, cure] of cures) {
      assert.throws(() => namespaceTargets.find(text), { code: 'OVL_TARGET_UNKNOWN', cure }, text);
    }
  });

  it('are not the namespace of the program itself', () => {
    for (const text of [`pid:${process.pid}`, `/proc/${process.pid}/ns/net`]) {
      assert.throws(() => namespaceTargets.find(text), { code: 'OVL_TARGET_CONFLICT' }, text);
    }
  });

  it('of a process are gone once its number is another one', () => {
    const pid = process.pid;
    assert.deepEqual(namespaceTargets.locate({ kind: 'pid', pid, startTicks: '1' }), {
      state: 'gone',
    });
  });

  it('of a name wait for it, and a TAP is always there', () => {
    assert.equal(namespaceTargets.locate({ kind: 'netns', name: 'no-such' }).state, 'absent');
    assert.equal(namespaceTargets.locate({ kind: 'path', path: '/no/such' }).state, 'absent');
    assert.deepEqual(namespaceTargets.find('tap:vm1'), { kind: 'tap', name: 'vm1' });
    assert.equal(namespaceTargets.locate({ kind: 'tap', name: 'vm1' }).state, 'present');
  });
});
