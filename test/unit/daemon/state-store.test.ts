import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { open } from 'lmdb';

import { OverlayError } from '../../../src/base/errors.js';
import { createSystemRng } from '../../../src/base/system-rng.js';
import { sodiumReady } from '../../../src/crypto/sodium.js';
import type { KnownPeer, Logger } from '../../../src/daemon/ports.js';
import { lockStateDir } from '../../../src/daemon/state-lock.js';
import type { OpenStateStore } from '../../../src/daemon/state-store.js';
import { openStateStore } from '../../../src/daemon/state-store.js';
import type { PeerId } from '../../../src/model/peer-id.js';

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

function peer(number: number, fields: Partial<KnownPeer> = {}): KnownPeer {
  return {
    id: number.toString(16).padStart(32, '0') as PeerId,
    publicKey: new Uint8Array(32).fill(number),
    nickname: `host${number}`,
    endpoints: [{ family: 4, address: '192.0.2.1', port: 6783 }],
    ...fields,
  };
}

describe('state store', () => {
  let parent: string;
  let stateDir: string;
  let opened: OpenStateStore[];
  let warned: Record<string, unknown>[];

  function openStore(): OpenStateStore {
    const log: Logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: (fields) => warned.push(fields),
      error: (fields, message) => assert.fail(`${message} ${JSON.stringify(fields)}`),
    };
    const ownUid = process.getuid?.() ?? 0;
    const store = openStateStore(stateDir, { rng: createSystemRng(), log, ownUid });
    opened.push(store);
    return store;
  }
  async function reopened(store: OpenStateStore): Promise<OpenStateStore> {
    await store.close();
    return openStore();
  }

  before(() => sodiumReady());
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'overlayd-state-'));
    stateDir = join(parent, 'state');
    opened = [];
    warned = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((store) => store.close()));
    rmSync(parent, { recursive: true });
  });

  it('makes an identity at first start, keeps it, and opens nothing to others', async () => {
    const first = openStore();
    const { id } = first.identity;
    assert.equal(first.identity.secretKey.length, 64);
    const second = await reopened(first);
    assert.equal(second.identity.id, id);
    assert.equal(statSync(stateDir).mode & 0o777, 0o700);
    for (const file of readdirSync(stateDir)) {
      assert.equal(statSync(join(stateDir, file)).mode & 0o777, 0o600, file);
    }
  });

  it('takes another identity on demand, with the old one as parent and nothing agreed under it', async () => {
    const first = openStore();
    const { id } = first.identity;
    first.addContact('b:1');
    first.saveOwnAddress('10.47.1.1/12');
    const keys = { hint: new Uint8Array(8).fill(1), pairKey: new Uint8Array(32).fill(2) };
    first.saveKnownPeer(peer(3, keys));
    first.replaceIdentity();
    const second = await reopened(first);
    assert.notEqual(second.identity.id, id);
    const file = join(stateDir, 'identity.json');
    assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { parent: string }).parent, id);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(second.ownAddress(), undefined);
    assert.deepEqual(second.contacts(), ['b:1']);
    assert.deepEqual(second.knownPeers(), [peer(3)]);
  });

  it('knows the instances of its earlier runs, the last 1024 of them', async () => {
    const instance = (number: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, number >> 8, number & 255);
    const first = openStore();
    assert.equal(first.isOwnInstance(instance(1)), false);
    first.addInstance(instance(1));
    const second = await reopened(first);
    assert.equal(second.isOwnInstance(instance(1)), true);
    const many = Array.from({ length: 1023 }, (_, at) =>
      Buffer.from(instance(at + 2)).toString('hex'),
    );
    const oldest = Buffer.from(instance(1)).toString('hex');
    const path = join(stateDir, 'instances.json');
    writeFileSync(path, JSON.stringify({ version: 1, instances: [oldest, ...many] }));
    const third = await reopened(second);
    third.addInstance(instance(2000));
    const fourth = await reopened(third);
    assert.equal(fourth.isOwnInstance(instance(1)), false);
    assert.equal(fourth.isOwnInstance(instance(2)), true);
    assert.equal(fourth.isOwnInstance(instance(2000)), true);
    writeFileSync(path, 'not json');
    assert.equal((await reopened(fourth)).isOwnInstance(instance(2000)), false);
  });

  it('remembers contacts in order, without doubles, until they are removed', async () => {
    const first = openStore();
    for (const text of ['b:1', 'a:1', 'b:1', 'c:1']) first.addContact(text);
    assert.equal(first.removeContact('a:1'), true);
    assert.equal(first.removeContact('a:1'), false);
    const second = await reopened(first);
    second.addContact('a:1');
    assert.deepEqual((await reopened(second)).contacts(), ['b:1', 'c:1', 'a:1']);
  });

  it('keeps record cells as bytes until they are removed, and forgets them on clear', async () => {
    const first = openStore();
    first.writeRecordCell('r/a', Uint8Array.of(0, 1, 255), false);
    first.writeRecordCell('r/b', Uint8Array.of(2), true);
    first.writeRecordCell('r/c', Uint8Array.of(3), false);
    first.writeRecordCell('r/c', undefined, false);
    await first.close();
    const second = openStore();
    const cells = [...second.recordCells()].map(([key, value]) => [key, [...value]]);
    assert.deepEqual(cells, [
      ['r/a', [0, 1, 255]],
      ['r/b', [2]],
    ]);
    second.clear();
    await second.close();
    assert.deepEqual([...openStore().recordCells()], []);
  });

  it('writes cells that may wait with what is written next, the last word of each', async () => {
    const store = openStore();
    const onDisk = (): unknown[] => {
      const copy = join(parent, 'copy.mdb');
      writeFileSync(copy, readFileSync(join(stateDir, 'state.mdb')));
      const root = open<unknown, string>({
        path: copy,
        noSubdir: true,
        encoding: 'json',
        maxDbs: 8,
      });
      const cells = [...root.openDB<unknown, string>('ipam', { encoding: 'json' }).getRange()];
      void root.close();
      for (const name of [copy, `${copy}-lock`]) rmSync(name, { force: true });
      return cells.map(({ key, value }) => [key, value]);
    };
    store.writeIpamCells([['a/1', 'uweb']], true);
    store.writeIpamCells([['a/2', 'udb']], true);
    assert.deepEqual(onDisk(), []);
    await store.writeAttachment('web', { ifName: 'eth-ovl' });
    assert.deepEqual(onDisk(), [
      ['a/1', 'uweb'],
      ['a/2', 'udb'],
    ]);
    store.writeIpamCells([['a/1', 'fweb']], true);
    store.writeIpamCells([['a/2', undefined]], true);
    store.writeIpamCells([['t/3', 'title']]);
    assert.deepEqual(onDisk(), [
      ['a/1', 'fweb'],
      ['t/3', 'title'],
    ]);
    store.writeIpamCells([['a/1', undefined]], true);
    assert.deepEqual([...store.ipamCells()], [['t/3', 'title']]);
    store.writeIpamCells([['a/4', 'uweb']], true);
    await store.close();
    assert.deepEqual(
      [...openStore().ipamCells()],
      [
        ['a/4', 'uweb'],
        ['t/3', 'title'],
      ],
    );
  });

  it('keeps attachments until they are removed, and forgets them on clear', async () => {
    const first = openStore();
    await Promise.all([
      first.writeAttachment('a', { ifName: 'eth-ovl' }),
      first.writeAttachment('b', { ifName: 'eth1' }),
      first.writeAttachment('b', undefined),
    ]);
    await first.close();
    const second = openStore();
    assert.deepEqual([...second.attachments()], [['a', { ifName: 'eth-ovl' }]]);
    second.clear();
    await second.close();
    assert.deepEqual([...openStore().attachments()], []);
  });

  it('remembers known peers as they were saved last', async () => {
    const full = peer(1, {
      endpoints: [
        { family: 6, address: 'fd00::1', port: 1 },
        { family: 4, address: '192.0.2.9', port: 2 },
      ],
      hint: new Uint8Array(8).fill(7),
      pairKey: new Uint8Array(32).fill(9),
    });
    const first = openStore();
    first.saveKnownPeer(peer(1));
    first.saveKnownPeer(peer(2));
    first.saveKnownPeer(peer(3));
    first.saveKnownPeer(full);
    first.removeKnownPeer(peer(3).id);
    assert.deepEqual(first.knownPeers(), [peer(2), full]);
    assert.deepEqual((await reopened(first)).knownPeers(), [peer(2), full]);
  });

  it('keeps 4096 peers with 8 endpoints, dropping those saved longest ago', async () => {
    const first = openStore();
    const endpoints = Array.from({ length: 9 }, (_, port) => ({
      family: 4 as const,
      address: '192.0.2.1',
      port: port + 1,
    }));
    first.saveKnownPeer(peer(1));
    first.saveKnownPeer(peer(2));
    first.saveKnownPeer(peer(1, { endpoints }));
    for (let number = 3; number <= 4097; number++) first.saveKnownPeer(peer(number));
    const second = await reopened(first);
    for (const peers of [first.knownPeers(), second.knownPeers()]) {
      assert.equal(peers.length, 4096);
      assert.equal(peers[0]?.nickname, 'host1');
      assert.deepEqual(peers[0].endpoints, endpoints.slice(0, 8));
      assert.ok(!peers.some(({ nickname }) => nickname === 'host2'));
    }
  });

  it('refuses more than 256 contacts', () => {
    const store = openStore();
    for (let number = 0; number < 256; number++) store.addContact(`h${number}:1`);
    store.addContact('h0:1');
    assert.match(refusal(() => store.addContact('one-more:1')).message, /one-more:1.*256/);
  });

  it('remembers the own address; clear forgets all but the identity', async () => {
    const first = openStore();
    const { id } = first.identity;
    first.saveOwnAddress('10.47.0.9/12');
    first.addContact('a:1');
    first.saveKnownPeer(peer(1));
    const second = await reopened(first);
    assert.equal(second.ownAddress(), '10.47.0.9/12');
    second.clear();
    const third = await reopened(second);
    assert.equal(third.ownAddress(), undefined);
    assert.deepEqual([third.contacts(), third.knownPeers()], [[], []]);
    assert.equal(third.identity.id, id);
  });

  it('leaves damaged entries out, with a warning', async () => {
    const first = openStore();
    first.saveKnownPeer(peer(1));
    await first.close();
    const root = open({ path: join(stateDir, 'state.mdb'), noSubdir: true, maxDbs: 4 });
    const peers = root.openDB<unknown, string>('peers', { encoding: 'json' });
    await peers.put('not an id', {});
    await peers.put(peer(2).id, { sequence: 9, publicKey: 'short', nickname: 'x', endpoints: [] });
    await root.close();
    assert.deepEqual(openStore().knownPeers(), [peer(1)]);
    assert.deepEqual(warned, [{ damaged: 2 }]);
  });

  it('refuses what a newer overlayd wrote', async () => {
    await openStore().close();
    const identityPath = join(stateDir, 'identity.json');
    const identity = readFileSync(identityPath, 'utf8');
    writeFileSync(identityPath, '{"version": 2, "key": "…"}');
    assert.equal(refusal(openStore).code, 'OVL_STATE_NEWER');
    writeFileSync(identityPath, identity);
    const root = open<unknown, string>({
      path: join(stateDir, 'state.mdb'),
      noSubdir: true,
      maxDbs: 4,
      encoding: 'json',
    });
    await root.put('version', 2);
    await root.close();
    assert.equal(refusal(openStore).code, 'OVL_STATE_NEWER');
  });

  it('refuses a damaged identity, names it, never shows or replaces it', async () => {
    await openStore().close();
    const path = join(stateDir, 'identity.json');
    for (const text of ['', '{', '[]', '{"version":1,"seed":"aHVudGVyMg=="}', '{"version":"1"}']) {
      writeFileSync(path, text);
      const error = refusal(openStore);
      assert.equal(error.code, 'OVL_STATE_DIR');
      assert.ok(error.message.includes(path));
      assert.doesNotMatch(error.message, /aHVudGVyMg/);
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });

  it('refuses a database that is none, or cut off, and says what moving it away costs', async () => {
    const store = openStore();
    for (let number = 1; number < 500; number++) store.saveKnownPeer(peer(number));
    await store.close();
    const path = join(stateDir, 'state.mdb');
    const whole = readFileSync(path);
    for (const bytes of [
      Buffer.alloc(8192, 'x'),
      whole.subarray(0, 100),
      whole.subarray(0, 16384),
    ]) {
      writeFileSync(path, bytes);
      const error = refusal(openStore);
      assert.equal(error.code, 'OVL_STATE_DIR');
      assert.ok(error.message.includes(path));
      assert.match(error.cure, /identity stays/);
    }
    writeFileSync(path, '');
    assert.deepEqual(openStore().knownPeers(), []);
  });

  it('refuses a directory that others may write to, or a file in its place', () => {
    mkdirSync(stateDir);
    chmodSync(stateDir, 0o777);
    assert.match(refusal(openStore).message, /others may write/);
    rmSync(stateDir, { recursive: true });
    writeFileSync(stateDir, '');
    assert.equal(refusal(openStore).code, 'OVL_STATE_DIR');
  });

  describe('lock', () => {
    const free = {
      lockFile: (path: string) => openSync(path, 'a+', 0o600),
      unlockFile: (descriptor: number) => closeSync(descriptor),
    };
    const held = {
      lockFile: () => {
        throw Object.assign(new Error('held'), { code: 'EAGAIN' });
      },
      unlockFile: () => assert.fail('nothing to unlock'),
    };
    beforeEach(() => mkdirSync(stateDir, { mode: 0o700 }));

    it("refuses a second daemon with the first one's pid", () => {
      const lock = lockStateDir(stateDir, free, 4711);
      const error = refusal(() => lockStateDir(stateDir, held, 4712));
      assert.equal(error.code, 'OVL_STATE_LOCKED');
      assert.match(error.message, /pid 4711/);
      assert.equal(error.fields['pid'], 4711);
      lock.release();
      lock.release();
      assert.ok(existsSync(join(stateDir, 'lock')));
    });

    it('says so when the pid is not to be read', () => {
      const error = refusal(() => lockStateDir(stateDir, held, 4712));
      assert.equal(error.code, 'OVL_STATE_LOCKED');
      assert.match(error.message, /another overlayd/);
    });

    it('any other failure names the file', () => {
      const broken = {
        ...held,
        lockFile: () => {
          throw Object.assign(new Error('no'), { code: 'EROFS' });
        },
      };
      const error = refusal(() => lockStateDir(stateDir, broken, 1));
      assert.equal(error.code, 'OVL_STATE_DIR');
      assert.match(error.message, /lock: EROFS/);
    });
  });
});
