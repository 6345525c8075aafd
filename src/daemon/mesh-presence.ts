import type { Actions } from '../link/actions.js';
import type { Appetite } from '../link/appetite.js';
import type { Links } from '../link/links.js';
import type { DataPlane, DataPlaneEvent } from '../dataplane/dataplane.js';
import { DEFAULT_NETWORK_ID } from '../model/network.js';
import type { PeerId } from '../model/peer-id.js';
import { CONTROL } from '../wire/control-types.js';
import { encodeClose } from '../wire/control.js';
import type { Directory } from './directory.js';
import type { MeshEthernet } from './mesh-ethernet.js';
import type { MeshNetworks } from './mesh-networks.js';
import type { MeshRelays } from './mesh-relays.js';

/*
 * Between the appetite for sessions and those there are: who is wanted is dialled, members without a session get a
 * place in the tables so that frames for them ask for one, and sessions that both ends can do without are closed.
 *
 *   frame for a member without a session ─► peerWanted ─► Appetite.use ─► dialled
 *   PEER_INFO {idle} from a peer that this node can do without, too ─► CLOSE {idle}
 */

export interface MeshPresenceComponents {
  readonly appetite: Appetite;
  readonly links: Links;
  readonly dataplane: DataPlane;
  readonly relays: Pick<MeshRelays, 'isUsing'>;
  readonly directory: Directory;
  readonly ethernet: Pick<MeshEthernet, 'holderOf' | 'hasTree'>;
  readonly networks: Pick<MeshNetworks, 'members'>;
  readonly ownAddresses: () => readonly string[];
}

type Wanted = Extract<DataPlaneEvent, { kind: 'peerWanted' }>;

export class MeshPresence {
  readonly #components: MeshPresenceComponents;
  readonly #declare: (peer: PeerId, slot: number | undefined, out: Actions) => void;
  #revision = 0;

  /** `declare`: the peer's bridge is behind that slot, or behind none any more. */
  constructor(
    components: MeshPresenceComponents,
    declare: (peer: PeerId, slot: number | undefined, out: Actions) => void,
  ) {
    this.#components = components;
    this.#declare = declare;
  }

  /** Once a turn, before what is due is dialled. */
  step(nowMs: number, out: Actions): void {
    const { appetite, links } = this.#components;
    if (links.revision !== this.#revision) {
      this.#revision = links.revision;
      const reachable = links.peers.filter((peer) => peer.isReachable).map(({ id }) => id);
      appetite.onReachable(reachable, nowMs);
    }
    if (nowMs < appetite.nextDeadlineMs) return;
    const news = appetite.step(nowMs, (peer) => this.#frameAgeMs(peer, nowMs));
    for (const peer of news.gone) {
      if (links.isListed(peer)) this.#declare(peer, undefined, out);
      links.unlist(peer, out);
    }
    for (const peer of news.listed) {
      const slot = links.list(peer, out);
      if (slot !== undefined) this.#declare(peer, slot, out);
    }
    for (const peer of news.wanted) links.want(peer, nowMs);
    if (news.isStarving) links.dialer.wakeContacts(nowMs);
  }

  /** The data plane has frames for a peer without a session, or a flood that such peers did not get. */
  onWanted({ network, peer: slot, target }: Wanted, nowMs: number): void {
    const { appetite, links, directory, ethernet, networks, ownAddresses } = this.#components;
    const peer = slot === 0 ? undefined : links.idOfSlot(slot);
    if (peer) appetite.use(peer, nowMs);
    if (slot !== 0 || !appetite.isSparse) return;
    if (network !== DEFAULT_NETWORK_ID) {
      for (const member of networks.members(network)) appetite.use(member, nowMs);
      return;
    }
    const address = target === 0 ? undefined : ipv4Text(target);
    if (ownAddresses().some((cidr) => cidr.split('/')[0] === address)) return; // announces itself
    const owner =
      address === undefined
        ? undefined
        : (directory.ownerOf(address) ?? ethernet.holderOf(address));
    if (owner) appetite.use(owner, nowMs);
    else if (!ethernet.hasTree) appetite.useAll(nowMs);
  }

  isIdle(peer: PeerId, nowMs: number): boolean {
    const { appetite, links, relays } = this.#components;
    const link = links.peer(peer);
    if (!link?.isReachable || appetite.isWanted(peer) || relays.isUsing(peer)) return false;
    return appetite.isIdle(peer, this.#frameAgeMs(peer, nowMs), nowMs - link.establishedAtMs);
  }

  /** The peer can do without the session. */
  onPeerIdle(peer: PeerId, nowMs: number, out: Actions): void {
    if (!this.isIdle(peer, nowMs)) return;
    const close = { type: CONTROL.CLOSE, body: encodeClose('idle') };
    this.#components.links.closeIdle(peer, close, nowMs, out);
  }

  #frameAgeMs(peer: PeerId, nowMs: number): number {
    const { links, dataplane } = this.#components;
    const paths = new Set(links.peer(peer)?.paths.all.map(({ id }) => id));
    let lastMs = 0;
    for (const { path, lastFrameMs } of dataplane.readCounters().paths) {
      if (paths.has(path)) lastMs = Math.max(lastMs, lastFrameMs);
    }
    return lastMs === 0 ? -1 : Math.max(0, nowMs - lastMs);
  }
}

function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}
