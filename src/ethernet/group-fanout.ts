import type { PeerSlot, TableEntry } from '../dataplane/dataplane.js';
import { isSnoopedMac, parseMac, type Mac } from '../model/mac.js';
import type { PeerId } from '../model/peer-id.js';
import type { GroupRecord } from '../wire/group-record.js';
import { MAX_GROUPS } from './constants.js';

/*
 * Whom frames of a group are sent to: who listed it, who wants everything, and who said nothing. A group that nobody
 * listed, this host neither, is flooded (RFC 4541 §2.1.2, unregistered). Frames of IGMP and MLD reports go to routers and to who said
 * nothing.
 */

const ROUTER_GROUP = parseMac('00:00:00:00:00:00') as Mac;

/** What most members say: one for all of them. */
const NOTHING: GroupRecord = { wantsEverything: false, hasRouter: false, groups: [] };

/** A peer that frames can be sent to, or could. */
export interface FanoutPeer {
  readonly id: PeerId;
  readonly slot: PeerSlot;
}

export class GroupFanout {
  readonly #network: number;
  readonly #statements = new Map<PeerId, GroupRecord>();
  /** What stands in the data plane's table, as texts to compare. */
  readonly #applied = new Map<Mac, string>();

  constructor(network: number) {
    this.#network = network;
  }

  /** What a member says it listens to; undefined: nothing, so it gets everything. */
  setStatement(peer: PeerId, statement: GroupRecord | undefined): void {
    if (statement) this.#statements.set(peer, isNothing(statement) ? NOTHING : statement);
    else this.#statements.delete(peer);
  }

  /** What takes all of it out of the table. */
  clear(): TableEntry[] {
    const network = this.#network;
    const entries = [...this.#applied.keys()].map((mac) => ({
      ...{ kind: 'groupRemove' as const, network, mac },
    }));
    this.#applied.clear();
    return entries;
  }

  /** What must change in the table for these peers, while this host listens to `own`. */
  update(peers: readonly FanoutPeer[], own: readonly Mac[]): TableEntry[] {
    const wanted = this.#wanted(peers, own);
    const entries: TableEntry[] = [];
    const network = this.#network;
    for (const mac of this.#applied.keys()) {
      if (wanted.has(mac)) continue;
      this.#applied.delete(mac);
      entries.push({ kind: 'groupRemove', network, mac });
    }
    for (const [mac, slots] of wanted) {
      const text = slots.join();
      if (this.#applied.get(mac) === text) continue;
      this.#applied.set(mac, text);
      entries.push({ kind: 'groupSet', network, mac, peers: slots });
    }
    return entries;
  }

  #wanted(peers: readonly FanoutPeer[], own: readonly Mac[]): Map<Mac, PeerSlot[]> {
    const everywhere: PeerSlot[] = [];
    const routers: PeerSlot[] = [];
    const groups = new Map<Mac, PeerSlot[]>(own.map((mac) => [mac, []]));
    for (const { id, slot } of peers) {
      const said = this.#statements.get(id);
      if (!said || said.hasRouter) routers.push(slot);
      if (!said || said.hasRouter || said.wantsEverything) everywhere.push(slot);
      for (const mac of said?.groups ?? []) {
        const listeners = groups.get(mac);
        if (listeners) listeners.push(slot);
        else if (isSnoopedMac(mac) && groups.size < MAX_GROUPS - 1) groups.set(mac, [slot]);
      }
    }
    for (const [mac, listeners] of groups) {
      groups.set(
        mac,
        [...new Set([...listeners, ...everywhere])].sort((a, b) => a - b),
      );
    }
    groups.set(ROUTER_GROUP, routers);
    return groups;
  }
}

function isNothing({ wantsEverything, hasRouter, groups }: GroupRecord): boolean {
  return !wantsEverything && !hasRouter && groups.length === 0;
}
