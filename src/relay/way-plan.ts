import type { PeerId } from '../model/peer-id.js';
import { relayRoutes, type RelayRoute } from '../routing/relay-routes.js';
import type { Topology } from '../routing/topology.js';
import { MAX_RELAYS } from '../wire/relay.js';

/*
 * To whom this node wants ways through relays, and through whom (docs/protocol.md §7):
 *
 *                      in use     idle
 *   reached directly   1 spare    none
 *   not                2          1          two of them never begin with the same relay
 *
 * and none to members that rest, since nobody needs them now (link/appetite.ts).
 * Ways that the target made to us count too, as long as it answers over them; the node with the smaller id asks first,
 * so that a pair does not make two where one is wanted.
 *
 * Links nominate, our own PINGs decide: a way that stands and over which the target does not answer is let go, and its
 * relays are not asked again for a minute. A member that lists links it does not have costs a try, nothing more.
 */

/** A member that was only heard of is dialled directly first; its way is asked for after this … */
const GRACE_MS = 1000;
/** … or, where answers take long since machines are short of time, after so many times as long. */
const GRACE_ANSWERS = 3;
const GRACE_LATE_TICKS = 3;
/** … or, where many are dialled at once, so long for each of them: one after the other they are answered. */
const GRACE_EACH_MS = 100;
const GRACE_OF_MANY_MS = 4000;
const LONGEST_GRACE_MS = 10_000;
const TICK_MS = 500;
/** The node with the larger id lets the other go first. */
const SECOND_MS = 400;
/** Between two requests for the same target. */
const AGAIN_MS = 500;
/** Ways of the other side that come so soon after one was wanted are waited for. */
const ARRIVAL_MS = 3000;
/** A way that stands is given this long to carry an answer. */
const SILENT_MS = 6000;
/** Relays that refused, did not answer, or lead nowhere. */
const FAILED_MS = 60_000;
const FAILED_FIRST_MS = 2000;
/** The links of all are worth knowing when a way is asked for: said after this part of the grace. */
const SOUGHT_BEFORE = 3;
/** Who is not found for so long is off, rather than out of reach. */
const SEEKING_MS = 60_000;
/** A way more than wanted is kept this long: what changed may change back. */
const SURPLUS_MS = 60_000;
/** Ways of this node, of all kinds. */
const MAX_WAYS = 128;
/** Routes looked at for one target. */
const ROUTES = 8;
/** A search serves so long once one of its routes failed, and when all did: the target may be off, like its relays' links. */
const SEARCH_AGAIN_MS = 2000;
const SEARCH_VAIN_MS = 10_000;

export interface WayTarget {
  readonly id: PeerId;
  /** Reached over UDP or TCP without a relay. */
  readonly isDirect: boolean;
  /** Carries traffic now or did so lately. */
  readonly isInUse: boolean;
  /** No session with it is sought: no way either. Default: one is. */
  readonly isResting?: boolean;
}

/** What the plan asks about the world. */
export interface WayWorld {
  /** Direct neighbours that relay, and what they cost us in ms. */
  readonly relays: ReadonlyMap<PeerId, number>;
  /** How long direct handshakes wait for their answer now, ms; 0: as always. */
  readonly answerMs: number;
  /** Does the target answer over this way of ours? */
  readonly stateOf: (target: PeerId, label: number) => 'active' | 'working' | 'silent';
}

export type WayStep =
  | { readonly kind: 'request'; readonly target: PeerId; readonly via: readonly PeerId[] }
  | { readonly kind: 'free'; readonly label: number };

interface PlannedWay {
  readonly label: number;
  readonly via: readonly PeerId[];
  /** Else the target made it. */
  readonly isOurs: boolean;
  isUp: boolean;
  /** The target answered over it, ever. */
  isProven: boolean;
  silentSinceMs: number | undefined;
}

interface Failure {
  untilMs: number;
  pauseMs: number;
}

interface Plan {
  target: WayTarget;
  /** Since when as many ways are wanted as now. */
  sinceMs: number;
  nextAskMs: number;
  surplusSinceMs: number | undefined;
  /** Undefined: none, as for most members of a large mesh. */
  ways: Map<number, PlannedWay> | undefined;
  /** By the ids of the relays. */
  failures: Map<string, Failure> | undefined;
  /** There was no route in that state of the world, and will be none until then. */
  hopeless: { readonly world: string; readonly untilMs: number } | undefined;
  /** Of the last search. */
  found: { readonly routes: readonly RelayRoute[]; readonly untilMs: number } | undefined;
}

export class WayPlan {
  readonly #topology: Topology;
  readonly #self: PeerId;
  readonly #plans = new Map<PeerId, Plan>();
  /** Members that nothing was ever wanted for, and since when: most of a large mesh. */
  readonly #resting = new Map<PeerId, number>();
  /** Targets for which something is wanted or stands. */
  readonly #open = new Set<PeerId>();
  readonly #targetOf = new Map<number, PeerId>();
  #tickMs = 0;
  /** How late the ticks are: a node that has no time must not take others to be unreachable. Halved by each tick. */
  #lateMs = 0;
  #isSeeking = false;
  /** Members that are sought and not reached directly. */
  #soughtCount = 0;

  constructor(topology: Topology, self: PeerId) {
    this.#topology = topology;
    this.#self = self;
  }

  get nextDeadlineMs(): number {
    return this.#open.size === 0 ? Number.POSITIVE_INFINITY : this.#tickMs;
  }

  /** Somebody is not reached directly although others were by then; a way may soon be asked for. */
  get isSeeking(): boolean {
    return this.#isSeeking && this.#open.size > 0;
  }

  /** Members that something was wanted for, ever. */
  get targets(): Iterable<PeerId> {
    return this.#plans.keys();
  }

  /** A member, as it is reached now. */
  setTarget(target: WayTarget, nowMs: number): void {
    const plan = this.#plans.get(target.id);
    if (!plan && wantedOf(target) === 0) {
      if (!this.#resting.has(target.id)) this.#resting.set(target.id, nowMs);
      return;
    }
    const isKnown = plan !== undefined || this.#resting.delete(target.id);
    if (!plan) this.#plans.set(target.id, makePlan(target, nowMs));
    else {
      if (wantedOf(plan.target) !== wantedOf(target)) plan.sinceMs = nowMs;
      plan.target = target;
    }
    if (!this.#open.has(target.id) && wantedOf(target) > 0) {
      if (this.#open.size === 0) this.#tickMs = nowMs;
      this.#open.add(target.id);
    }
    // One that is in use and lost its direct way cannot wait for the next tick.
    if (isKnown && !target.isDirect && target.isInUse) this.#tickMs = Math.min(this.#tickMs, nowMs);
  }

  /** It is no member any more. @returns labels of its ways, to be let go. */
  removeTarget(id: PeerId): readonly number[] {
    const labels = [...(this.#plans.get(id)?.ways?.keys() ?? [])];
    for (const label of labels) this.#targetOf.delete(label);
    this.#plans.delete(id);
    this.#resting.delete(id);
    this.#open.delete(id);
    return labels;
  }

  /** The request of a step is on its way under this label. */
  onAsked(target: PeerId, via: readonly PeerId[], label: number): void {
    const plan = this.#plans.get(target);
    if (!plan) return;
    this.#add(plan, {
      label,
      via,
      isOurs: true,
      isUp: false,
      isProven: false,
      silentSinceMs: undefined,
    });
  }

  /** The target made a way to us, over our neighbour `via`. */
  onArrival(target: PeerId, via: PeerId, label: number, nowMs: number): void {
    const plan = this.#plans.get(target) ?? this.#wake(target);
    if (!plan) return;
    if (this.#open.size === 0) this.#tickMs = nowMs;
    this.#add(plan, {
      label,
      via: [via],
      isOurs: false,
      isUp: true,
      isProven: false,
      silentSinceMs: nowMs,
    });
  }

  onUp(label: number, nowMs: number): void {
    const way = this.#planOf(label)?.ways?.get(label);
    if (!way) return;
    way.isUp = true;
    way.silentSinceMs = nowMs;
  }

  /** Refused, not answered, or gone. */
  onDown(label: number, nowMs: number): void {
    const plan = this.#planOf(label);
    const way = plan?.ways?.get(label);
    if (!plan || !way) return;
    plan.ways?.delete(label);
    if (plan.ways?.size === 0) plan.ways = undefined;
    this.#targetOf.delete(label);
    if (!way.isUp) this.#noteFailure(plan, way.via, nowMs);
    plan.nextAskMs = nowMs;
    this.#tickMs = Math.min(this.#tickMs, nowMs);
  }

  /** What is to be done now. */
  onDeadline(nowMs: number, world: WayWorld): readonly WayStep[] {
    if (nowMs < this.nextDeadlineMs) return [];
    this.#lateMs = Math.max(Math.min(nowMs - this.#tickMs, LONGEST_GRACE_MS), this.#lateMs / 2);
    this.#tickMs = nowMs + TICK_MS;
    const steps: WayStep[] = [];
    let count = this.#targetOf.size;
    const state = `${this.#topology.revision} ${[...world.relays.keys()].join()}`;
    this.#isSeeking = false;
    this.#soughtCount = this.#countSought();
    for (const id of this.#open) {
      const plan = this.#plans.get(id);
      if (!plan) continue;
      this.#isSeeking ||= this.#isSought(plan, world, nowMs);
      this.#letGo(plan, world, nowMs, steps);
      const step = count < MAX_WAYS ? this.#ask(plan, world, state, nowMs) : undefined;
      if (step) steps.push(step);
      if (step) count += 1;
      if (!plan.ways && wantedOf(plan.target) === 0) this.#open.delete(id);
    }
    return steps;
  }

  /** Nothing is wanted for it, but there is something to be noted. */
  #wake(id: PeerId): Plan | undefined {
    const sinceMs = this.#resting.get(id);
    if (sinceMs === undefined) return undefined;
    const plan = makePlan({ id, isDirect: false, isInUse: false, isResting: true }, sinceMs);
    this.#resting.delete(id);
    this.#plans.set(id, plan);
    return plan;
  }

  #add(plan: Plan, way: PlannedWay): void {
    plan.ways ??= new Map();
    plan.ways.set(way.label, way);
    this.#targetOf.set(way.label, plan.target.id);
    this.#open.add(plan.target.id);
  }

  #planOf(label: number): Plan | undefined {
    const target = this.#targetOf.get(label);
    return target === undefined ? undefined : this.#plans.get(target);
  }

  #letGo(plan: Plan, world: WayWorld, nowMs: number, steps: WayStep[]): void {
    let spare: PlannedWay | undefined;
    for (const way of plan.ways?.values() ?? []) {
      if (!way.isUp) continue;
      const state = world.stateOf(plan.target.id, way.label);
      if (state === 'silent') way.silentSinceMs ??= nowMs;
      else {
        way.silentSinceMs = undefined;
        way.isProven = true;
      }
      if (!way.isOurs) continue;
      if (isSilent(way, nowMs)) {
        this.#noteFailure(plan, way.via, nowMs);
        steps.push({ kind: 'free', label: way.label });
      } else if (state !== 'active') spare = way;
    }
    const count = counted(plan, nowMs).length;
    if (count <= wantedOf(plan.target)) plan.surplusSinceMs = undefined;
    else plan.surplusSinceMs ??= nowMs;
    if (plan.surplusSinceMs === undefined || nowMs - plan.surplusSinceMs < SURPLUS_MS) return;
    if (spare) steps.push({ kind: 'free', label: spare.label });
    plan.surplusSinceMs = nowMs;
  }

  /** Looking for routes through a thousand members is not cheap: not again before something may have changed. */
  #ask(plan: Plan, world: WayWorld, state: string, nowMs: number): WayStep | undefined {
    const { target, failures } = plan;
    const ways = counted(plan, nowMs);
    if (ways.length >= wantedOf(target) || nowMs < plan.nextAskMs) return undefined;
    const graceMs = target.isDirect || target.isInUse ? 0 : this.#graceMs(world);
    const secondMs = this.#self < target.id ? 0 : SECOND_MS;
    if (nowMs - plan.sinceMs < graceMs + secondMs) return undefined;
    plan.nextAskMs = nowMs + AGAIN_MS;
    const used = new Set(ways.map((way) => way.via[0]));
    const { hopeless } = plan;
    const now = `${state} ${[...used].join()}`;
    if (hopeless?.world === now && nowMs < hopeless.untilMs) return undefined;
    const isKept = plan.found !== undefined && nowMs < plan.found.untilMs;
    const route = this.#routes(plan, world, nowMs).find(({ via }) => {
      const hasFailed = nowMs < (failures?.get(via.join())?.untilMs ?? 0);
      const [first] = via;
      return !hasFailed && first !== undefined && !used.has(first) && world.relays.has(first);
    });
    if (route) return { kind: 'request', target: target.id, via: route.via };
    // Of an earlier state of the world: it says nothing about this one.
    if (isKept) return undefined;
    let untilMs = Number.POSITIVE_INFINITY;
    for (const failure of failures?.values() ?? []) {
      if (failure.untilMs > nowMs) untilMs = Math.min(untilMs, failure.untilMs);
    }
    plan.hopeless = { world: now, untilMs };
    return undefined;
  }

  #routes(plan: Plan, { relays }: WayWorld, nowMs: number): readonly RelayRoute[] {
    if (plan.found && nowMs < plan.found.untilMs) return plan.found.routes;
    const options = { maxRelays: MAX_RELAYS, count: ROUTES };
    const routes = relayRoutes(this.#topology, this.#self, plan.target.id, relays, options);
    const failed = plan.failures?.size ?? 0;
    const keptMs = failed === 0 ? 0 : failed < ROUTES ? SEARCH_AGAIN_MS : SEARCH_VAIN_MS;
    plan.found = keptMs === 0 ? undefined : { routes, untilMs: nowMs + keptMs };
    return routes;
  }

  #isSought({ target, sinceMs }: Plan, world: WayWorld, nowMs: number): boolean {
    const forMs = nowMs - sinceMs;
    if (!isMissing(target)) return false;
    return forMs >= this.#graceMs(world) / SOUGHT_BEFORE && forMs < SEEKING_MS;
  }

  #graceMs({ answerMs }: WayWorld): number {
    const slowMs = Math.max(GRACE_ANSWERS * answerMs, GRACE_LATE_TICKS * this.#lateMs);
    const manyMs = Math.min(GRACE_OF_MANY_MS, GRACE_EACH_MS * this.#soughtCount);
    return Math.min(LONGEST_GRACE_MS, Math.max(GRACE_MS, slowMs, manyMs));
  }

  #countSought(): number {
    let count = 0;
    for (const id of this.#open) {
      const target = this.#plans.get(id)?.target;
      if (target && isMissing(target)) count += 1;
    }
    return count;
  }

  #noteFailure(plan: Plan, via: readonly PeerId[], nowMs: number): void {
    const failures = (plan.failures ??= new Map<string, Failure>());
    const key = via.join();
    const before = failures.get(key);
    const pauseMs = before ? Math.min(2 * before.pauseMs, FAILED_MS) : FAILED_FIRST_MS;
    failures.delete(key);
    failures.set(key, { untilMs: nowMs + pauseMs, pauseMs });
    const oldest = failures.keys().next();
    if (failures.size > 2 * ROUTES && !oldest.done) failures.delete(oldest.value);
  }
}

function makePlan(target: WayTarget, sinceMs: number): Plan {
  return {
    target,
    sinceMs,
    nextAskMs: 0,
    surplusSinceMs: undefined,
    ways: undefined,
    failures: undefined,
    hopeless: undefined,
    found: undefined,
  };
}

/**
 * Ways that stand or are asked for, and over which the target answers as far as is known. Of those that were made to us
 * only a neighbour says so: unproven they count for a moment, or one that makes them up again and again could keep us
 * from asking anybody.
 */
function counted(plan: Plan, nowMs: number): readonly PlannedWay[] {
  const isEarly = nowMs - plan.sinceMs < ARRIVAL_MS;
  return [...(plan.ways?.values() ?? [])].filter((way) => {
    return !isSilent(way, nowMs) && (way.isOurs || way.isProven || isEarly);
  });
}

function isSilent({ silentSinceMs }: PlannedWay, nowMs: number): boolean {
  return silentSinceMs !== undefined && nowMs - silentSinceMs >= SILENT_MS;
}

/** It is sought, and not reached directly. */
function isMissing({ isDirect, isResting }: WayTarget): boolean {
  return !isDirect && isResting !== true;
}

function wantedOf({ isDirect, isInUse, isResting }: WayTarget): number {
  if (isResting) return 0;
  return (isDirect ? 0 : 1) + (isInUse ? 1 : 0);
}
