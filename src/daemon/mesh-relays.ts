import type { Rng } from '../base/rng.js';
import type { Counters } from '../dataplane/dataplane.js';
import type { Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import { guessCost, pathCost } from '../link/path-cost.js';
import type { PeerLink } from '../link/peer-link.js';
import type { PathAddress } from '../model/path-address.js';
import type { PeerId } from '../model/peer-id.js';
import { Relays, type RelayAction } from '../relay/relays.js';
import { WayPlan } from '../relay/way-plan.js';
import { CONTROL } from '../wire/control-types.js';
import { HolePunch } from './hole-punch.js';
import type { LinksRoom } from './links-room.js';
import type { MeshRecords } from './mesh-records.js';

/*
 * Relays, wired: what our links cost goes into our links record, those of others say who leads to whom (links-room.ts),
 * the plan asks for ways (relay/way-plan.ts), and each way that stands is a candidate of its target's link like any
 * other. Whether it is used is decided there (link/path-choice.ts).
 *
 *   links records ─► topology ─► plan ── request ──► relays ── wayUp ──► links.addCandidates
 */

const SAMPLE_MS = 2000;
/** The first PONG of a new link has come by then, or it takes long. */
const FIRST_COST_MS = 250;
/** A peer is in use when frames moved in three samples on end: what a kernel says at a start and broadcasts are none. */
const IN_USE_SAMPLES = 3;
const IN_USE_KEEP_MS = 60_000;

export interface MeshRelaysComponents {
  readonly rng: Rng;
  readonly links: Links;
  readonly records: MeshRecords;
  readonly linksRoom: LinksRoom;
  readonly counters: () => Counters;
  /** Members whose sessions are sought or kept; undefined: those of all. */
  readonly wanted: () => Iterable<PeerId> | undefined;
}

export interface MeshRelaysOptions {
  readonly ownId: PeerId;
  /** Carries the traffic of others. */
  readonly isRelay: boolean;
  /** Looks for direct ways that nobody named. */
  readonly isDiscovering: boolean;
}

interface Neighbour {
  /** Of its process: another one knows none of our labels. */
  readonly instance: string;
  readonly sinceMs: number;
  /** 0: not known yet. */
  costMs: number;
}

interface Use {
  lastFrameMs: number;
  /** On end in which frames moved. */
  samples: number;
  /** 0: not in use. */
  untilMs: number;
}

export class MeshRelays {
  readonly #components: MeshRelaysComponents;
  readonly #relays: Relays;
  readonly #plan: WayPlan;
  readonly #punch: HolePunch;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  readonly #uses = new Map<PeerId, Use>();
  #sampleAtMs = Number.POSITIVE_INFINITY;
  #firstCostsAtMs = Number.POSITIVE_INFINITY;
  /** Of the links, as followed last. */
  #revision = -1;

  constructor(components: MeshRelaysComponents, options: MeshRelaysOptions) {
    this.#components = components;
    const view = { isNeighbour: (peer: PeerId) => isDirect(components.links.peer(peer)) };
    this.#relays = new Relays({ rng: components.rng, view }, options);
    this.#plan = new WayPlan(components.linksRoom.topology, options.ownId);
    this.#punch = new HolePunch({
      ownId: options.ownId,
      links: components.links,
      ownEndpoints: () => components.records.ownEndpoints,
      isInUse: (peer, nowMs) => this.#isInUse(peer, nowMs),
      isDiscovering: options.isDiscovering,
    });
  }

  get nextDeadlineMs(): number {
    return Math.min(
      this.#relays.nextDeadlineMs,
      this.#plan.nextDeadlineMs,
      this.#punch.nextDeadlineMs,
      this.#sampleAtMs,
      this.#firstCostsAtMs,
    );
  }

  /** Pairs of others that go through this node. */
  get carried(): number {
    return this.#relays.carried;
  }

  /** A way leads through this neighbour, or ends at it. */
  isUsing(peer: PeerId): boolean {
    return this.#relays.isUsing(peer);
  }

  /** The relays a path goes through, nearest first, as far as they are known here: at a target, the last one. */
  viaOf(address: PathAddress): readonly PeerId[] {
    if (address.family !== 'relay') return [];
    const way = this.#relays.wayOf(address.label);
    if (way) return way.via;
    const last = this.#relays.neighbourOf(address.label);
    return last === undefined ? [] : [last];
  }

  /** A member said who it is, or is gone. */
  onMember(peer: PeerId, isThere: boolean, nowMs: number, out: Actions): void {
    if (isThere) this.#setTarget(peer, nowMs);
    else
      this.#act(nowMs, out, (actions) => {
        for (const label of this.#plan.removeTarget(peer)) this.#relays.free(label, nowMs, actions);
      });
  }

  onMessage(peer: PeerId, type: number, body: Uint8Array, nowMs: number, out: Actions): void {
    if (type === CONTROL.PUNCH) {
      this.#punch.onMessage(peer, body, nowMs, out);
      return;
    }
    this.#act(nowMs, out, (actions) => {
      this.#relays.onMessage(peer, type, body, nowMs, actions);
    });
  }

  onUnknownLabel(slot: number, label: number, nowMs: number, out: Actions): void {
    const peer = this.#components.links.peerOfSlot(slot);
    if (!peer) return;
    this.#act(nowMs, out, (actions) => {
      this.#relays.onUnknownLabel(peer.id, label, actions);
    });
  }

  onDeadline(nowMs: number, out: Actions): void {
    if (nowMs >= this.#sampleAtMs) this.#sample(nowMs);
    if (nowMs >= this.#firstCostsAtMs) this.#learnFirstCosts(nowMs);
    this.#punch.onDeadline(nowMs, out);
    this.#act(nowMs, out, (actions) => {
      if (nowMs >= this.#relays.nextDeadlineMs) {
        const received = (): ReadonlyMap<number, bigint> =>
          new Map(
            this.#components.counters().labels.map(({ label, datagrams }) => [label, datagrams]),
          );
        this.#relays.onDeadline(nowMs, received, actions);
      }
      this.#followPlan(nowMs, actions);
    });
  }

  /** Once a turn: who is reached directly now. */
  follow(nowMs: number, out: Actions): void {
    const { links, records } = this.#components;
    if (links.revision === this.#revision) return;
    this.#revision = links.revision;
    this.#punch.follow(nowMs);
    this.#act(nowMs, out, (actions) => {
      for (const [peer, { instance }] of [...this.#neighbours]) {
        const link = links.peer(peer);
        if (isDirect(link) && link?.instance === instance) continue;
        this.#neighbours.delete(peer);
        this.#relays.onNeighbourLost(peer, nowMs, actions);
      }
      for (const link of links.peers) {
        if (!isDirect(link) || this.#neighbours.has(link.id)) continue;
        const costMs = firstCost(link);
        this.#neighbours.set(link.id, { instance: link.instance, sinceMs: nowMs, costMs });
        this.#firstCostsAtMs = Math.min(this.#firstCostsAtMs, nowMs + FIRST_COST_MS);
      }
      if (this.#neighbours.size > 0)
        this.#sampleAtMs = Math.min(this.#sampleAtMs, nowMs + SAMPLE_MS);
      for (const member of this.#concerned()) {
        if (records.members.has(member)) this.#setTarget(member, nowMs);
      }
      this.#tellCosts(nowMs);
      this.#followPlan(nowMs, actions);
    });
  }

  /** Members for which something may have changed: most of a large mesh rest, and rest on. */
  #concerned(): Iterable<PeerId> {
    const { wanted, records } = this.#components;
    const sought = wanted();
    if (!sought) return records.members.keys();
    return new Set([...sought, ...this.#plan.targets, ...this.#neighbours.keys()]);
  }

  #setTarget(id: PeerId, nowMs: number): void {
    const isInUse = this.#isInUse(id, nowMs);
    const isDirect = this.#neighbours.has(id);
    const isResting = !isDirect && !this.#components.links.isWanted(id);
    this.#plan.setTarget({ id, isDirect, isInUse, isResting }, nowMs);
  }

  #isInUse(id: PeerId, nowMs: number): boolean {
    return nowMs < (this.#uses.get(id)?.untilMs ?? 0);
  }

  #followPlan(nowMs: number, actions: RelayAction[]): void {
    if (nowMs < this.#plan.nextDeadlineMs) return;
    const relays = new Map<PeerId, number>();
    for (const [peer, { costMs }] of this.#neighbours) {
      if (this.#components.linksRoom.topology.isRelay(peer)) relays.set(peer, costMs);
    }
    const stateOf = (target: PeerId, label: number): 'active' | 'working' | 'silent' => {
      const paths = this.#components.links.peer(target)?.paths;
      const path = paths?.all.find(({ address }) => isLabel(address, label));
      if (path?.state !== 'working') return 'silent';
      return path === paths?.active ? 'active' : 'working';
    };
    const answerMs = this.#components.links.dialer.answerMs(nowMs);
    const { isSeeking } = this.#plan;
    for (const step of this.#plan.onDeadline(nowMs, { relays, answerMs, stateOf })) {
      if (step.kind === 'free') {
        this.#relays.free(step.label, nowMs, actions);
        continue;
      }
      const label = this.#relays.request(step.target, step.via, nowMs, actions);
      if (label !== undefined) this.#plan.onAsked(step.target, step.via, label);
    }
    if (this.#plan.isSeeking !== isSeeking) this.#tellCosts(nowMs);
  }

  /** Who carries traffic, and what the links cost. */
  #sample(nowMs: number): void {
    const { links, counters } = this.#components;
    this.#sampleAtMs = nowMs + SAMPLE_MS;
    const paths = new Map(counters().paths.map((path) => [path.path, path]));
    let isReachable = false;
    for (const link of links.peers) {
      const active = link.isReachable ? link.paths.active : undefined;
      const path = active && paths.get(active.id);
      if (!active || !path) continue;
      isReachable = true;
      const neighbour = this.#neighbours.get(link.id);
      const cost = pathCost(path, active.address, active.hops)?.cost;
      if (neighbour && cost !== undefined) neighbour.costMs = cost;
      const { lastFrameMs } = path;
      const use = this.#uses.get(link.id) ?? { lastFrameMs, samples: 0, untilMs: 0 };
      const wasInUse = use.untilMs > 0;
      use.samples = lastFrameMs === use.lastFrameMs ? 0 : use.samples + 1;
      use.lastFrameMs = lastFrameMs;
      if (use.samples >= IN_USE_SAMPLES) use.untilMs = nowMs + IN_USE_KEEP_MS;
      else if (nowMs >= use.untilMs) use.untilMs = 0;
      this.#uses.set(link.id, use);
      const isInUse = use.untilMs > 0;
      if (wasInUse !== isInUse) this.#setTarget(link.id, nowMs);
      if (isInUse && !wasInUse) this.#punch.onUse(link.id, nowMs);
    }
    if (!isReachable) this.#sampleAtMs = Number.POSITIVE_INFINITY;
    this.#tellCosts(nowMs);
  }

  #learnFirstCosts(nowMs: number): void {
    this.#firstCostsAtMs = Number.POSITIVE_INFINITY;
    const { links, counters } = this.#components;
    const paths = new Map(counters().paths.map((path) => [path.path, path]));
    for (const [peer, neighbour] of this.#neighbours) {
      const active = links.peer(peer)?.paths.active;
      if (neighbour.costMs > 0 || !active) continue;
      neighbour.costMs = pathCost(paths.get(active.id), active.address, active.hops)?.cost ?? 0;
    }
    this.#tellCosts(nowMs);
  }

  /** A link is told of with its cost: without it, each would be said twice, and all members told twice. */
  #tellCosts(nowMs: number): void {
    const costs = new Map<PeerId, number>();
    for (const [peer, { costMs, sinceMs }] of this.#neighbours) {
      if (costMs > 0 || nowMs - sinceMs >= SAMPLE_MS) costs.set(peer, costMs);
    }
    this.#components.linksRoom.setCosts(costs, nowMs, this.#plan.isSeeking);
  }

  #act(nowMs: number, out: Actions, run: (actions: RelayAction[]) => void): void {
    const actions: RelayAction[] = [];
    run(actions);
    for (const action of actions) this.#perform(action, nowMs, out);
  }

  #perform(action: RelayAction, nowMs: number, out: Actions): void {
    const { links } = this.#components;
    switch (action.kind) {
      case 'send':
        links.control(action.peer, action.type, action.body, out);
        break;
      case 'labelSet': {
        const peer = links.peer(action.peer)?.slot;
        const { kind, label, outLabel, forward } = action;
        if (peer !== undefined) out.table({ kind, label, peer, outLabel, forward });
        break;
      }
      case 'labelRemove':
        out.table(action);
        break;
      case 'wayUp': {
        const { target, via, label } = action.way;
        this.#plan.onUp(label, nowMs);
        const address = { family: 'relay', label } as const;
        const hops = via.length;
        links.addCandidates(target, [{ address, source: 'relay', hops }], nowMs, out);
        break;
      }
      case 'wayDown':
        this.#plan.onDown(action.way.label, nowMs);
        this.#forget(action.way.target, action.way.label, nowMs, out);
        break;
      case 'arrivalUp':
        this.#plan.onArrival(action.origin, action.via, action.label, nowMs);
        break;
      case 'arrivalGone':
        this.#plan.onDown(action.label, nowMs);
        this.#forget(action.origin, action.label, nowMs, out);
        break;
    }
  }

  #forget(peer: PeerId, label: number, nowMs: number, out: Actions): void {
    this.#components.links.removeCandidate(peer, { family: 'relay', label }, nowMs, out);
  }
}

/** Frames and messages get there now, and not through a relay: what nests nothing. */
function isDirect(link: PeerLink | undefined): boolean {
  const active = link?.isReachable ? link.paths.active : undefined;
  return active !== undefined && active.address.family !== 'relay';
}

function firstCost(link: PeerLink): number {
  const path = link.paths.active;
  return path ? guessCost(path.rttMs, path.address, path.hops) : 0;
}

function isLabel(address: PathAddress, label: number): boolean {
  return address.family === 'relay' && address.label === label;
}
