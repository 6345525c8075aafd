import { OverlayError } from '../base/errors.js';
import { parseAddress } from '../model/cidr.js';
import {
  DEFAULT_NETWORK,
  MAX_NETWORK_ID,
  type PathId,
  type PeerSlot,
  type SessionIndex,
  type TableEntry,
} from './dataplane.js';

interface Keys<Key> {
  has(key: Key): boolean;
}

/** What stands in the tables before a batch. */
interface FakeTableKeys {
  readonly sessions: Keys<SessionIndex>;
  readonly paths: Keys<PathId>;
  readonly peers: Keys<PeerSlot>;
  readonly labels: Keys<number>;
}

/** A table as it will be: a node of a large mesh has thousands of entries, a batch changes a few. */
class Changed<Key> {
  readonly #before: Keys<Key>;
  readonly #changes = new Map<Key, boolean>();

  constructor(before: Keys<Key>) {
    this.#before = before;
  }

  has(key: Key): boolean {
    return this.#changes.get(key) ?? this.#before.has(key);
  }

  add(key: Key): void {
    this.#changes.set(key, true);
  }

  /** @returns whether it was there. */
  delete(key: Key): boolean {
    const wasThere = this.has(key);
    this.#changes.set(key, false);
    return wasThere;
  }
}

/** Is every entry of the batch possible, after those before it? @throws OverlayError OVL_BATCH_REFUSED */
export function checkBatch(batch: readonly TableEntry[], before: FakeTableKeys): void {
  const sessions = new Changed(before.sessions);
  const paths = new Changed(before.paths);
  const peers = new Changed(before.peers);
  const labels = new Changed(before.labels);
  const refuse = (position: number, why: string): never => {
    throw new OverlayError('OVL_BATCH_REFUSED', `Cannot apply entry ${position}: ${why}`, {
      cure: 'Report this: it is a bug.',
      value: batch[position]?.kind ?? '',
      fields: { index: position },
    });
  };
  batch.forEach((entry, position) => {
    if ('network' in entry && !(entry.network >= 0 && entry.network <= MAX_NETWORK_ID)) {
      refuse(position, 'network out of range');
    }
    switch (entry.kind) {
      case 'sessionInstall':
        if (entry.session === 0 || sessions.has(entry.session)) refuse(position, 'session exists');
        if (!peers.has(entry.peer)) refuse(position, `peer ${entry.peer} does not exist`);
        sessions.add(entry.session);
        break;
      case 'sessionRxKey':
      case 'sessionTxKey':
      case 'sessionRxRetire':
        if (!sessions.has(entry.session)) {
          refuse(position, `session ${entry.session} does not exist`);
        }
        break;
      case 'sessionRemove':
        if (!sessions.delete(entry.session)) {
          refuse(position, `session ${entry.session} does not exist`);
        }
        break;
      case 'peerSet':
        if (entry.peer < 1 || entry.peer > 4096) refuse(position, 'peer slot out of range');
        if (entry.session !== 0 && !sessions.has(entry.session)) {
          refuse(position, 'session does not exist');
        }
        if (entry.path !== 0 && !paths.has(entry.path)) refuse(position, 'path does not exist');
        peers.add(entry.peer);
        break;
      case 'peerRemove':
        if (!peers.delete(entry.peer)) refuse(position, `peer ${entry.peer} does not exist`);
        break;
      case 'pathSet':
        if (entry.path === 0 || !peers.has(entry.peer)) refuse(position, 'peer does not exist');
        if (entry.session !== 0 && !sessions.has(entry.session)) {
          refuse(position, 'session does not exist');
        }
        paths.add(entry.path);
        break;
      case 'pathRemove':
        if (!paths.delete(entry.path)) refuse(position, `path ${entry.path} does not exist`);
        break;
      case 'fdbSet':
        if (entry.peer !== 0 && !peers.has(entry.peer)) {
          refuse(position, `peer ${entry.peer} does not exist`);
        }
        break;
      case 'membersSet':
        if (entry.network === DEFAULT_NETWORK) refuse(position, 'the default network has no list');
        if (entry.peers.some((peer) => peer < 1 || peer > 4096)) {
          refuse(position, 'peer slot out of range');
        }
        break;
      case 'labelSet':
        if (entry.label === 0) refuse(position, 'label is 0');
        if (!peers.has(entry.peer)) refuse(position, `peer ${entry.peer} does not exist`);
        labels.add(entry.label);
        break;
      case 'labelRemove':
        labels.delete(entry.label);
        break;
      case 'neighbourSet':
      case 'neighbourRemove':
        if (!parseAddress(entry.address)) refuse(position, `${entry.address} is no address`);
        break;
      case 'fdbRemove':
      case 'groupSet':
      case 'groupRemove':
      case 'treeSet':
      case 'resumeSet':
      case 'resumeRemove':
        break;
    }
  });
  // Two labels of a relay name each other, so the other one may stand further back in the batch.
  batch.forEach((entry, position) => {
    if (entry.kind !== 'labelSet' || entry.forward === 0) return;
    if (!labels.has(entry.forward)) refuse(position, `label ${entry.forward} does not exist`);
  });
}
