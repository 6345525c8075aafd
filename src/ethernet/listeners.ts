import type { Mac } from '../model/mac.js';
import { isSnoopedMac } from '../model/mac.js';
import {
  LAST_ASKED,
  LAST_RESPONSE_MS,
  MAX_OWN_GROUPS,
  MEMBERSHIP_MS,
  OTHER_QUERIER_MS,
  QUERY_INTERVAL_MS,
  QUERY_RESPONSE_MS,
  SETTLED_AFTER_MS,
  START_AGAIN_MS,
  START_RESPONSE_MS,
} from './constants.js';
import { macOfGroup } from './group-mac.js';
import { readMembership, type GroupAddress } from './membership-message.js';
import { linkLocalOf, queryFrame, type Query } from './query-frame.js';

/*
 * Who listens to which group on this host, and the querier that keeps it true.
 *
 *   report ──► listening ── 260 s without another report ──► gone
 *                 │  ▲
 *           leave ▼  │ report
 *               last asked: queries at 0 and 1 s ── 2 s ──► gone
 *
 * Each daemon asks the ports of its own bridge and nobody else's: the questions are written to the TAP and never cross
 * the mesh, so no querier need be elected, none can be lost, and the answers are those of this host. While a router of
 * this host asks, it is left to it; such a host wants every group, and the reports of the others.
 *
 * Until the first answers are in, after 3 s, everything is asked for: a daemon that starts anew beside running guests
 * must not cut them off. The same holds while reports were missed, or are of more groups than are followed.
 */

interface Listened {
  expiresAtMs: number;
  /** Queries still to be sent after a leave. */
  asksLeft: number;
  nextAskMs: number;
}

interface Querier {
  readonly family: 4 | 6;
  nextMs: number;
  asked: number;
  otherUntilMs: number;
}

export interface Listening {
  readonly wantsEverything: boolean;
  readonly hasRouter: boolean;
  readonly groups: readonly Mac[];
}

const FAMILIES = [4, 6] as const;
const STEP_MS = LAST_RESPONSE_MS;
/** For answers on their way. */
const SLACK_MS = 250;

export class Listeners {
  readonly #source: Mac;
  readonly #ownIpv6: string;
  readonly #groups = new Map<GroupAddress, Listened>();
  readonly #queriers: readonly Querier[];
  readonly #settledAtMs: number;
  #everythingUntilMs: number;

  /** `source`: MAC of our queries, which is no port's. */
  constructor(source: Mac, nowMs: number) {
    this.#source = source;
    this.#ownIpv6 = hex(linkLocalOf(source));
    this.#settledAtMs = nowMs + SETTLED_AFTER_MS;
    this.#everythingUntilMs = this.#settledAtMs;
    this.#queriers = FAMILIES.map((family) => {
      return { family, nextMs: nowMs, asked: 0, otherUntilMs: 0 };
    });
  }

  /** Of this host, as its groups' MACs. */
  listening(nowMs: number): Listening {
    const macs = new Set([...this.#groups.keys()].map(macOfGroup).filter(isSnoopedMac));
    return {
      wantsEverything: nowMs < this.#everythingUntilMs,
      hasRouter: this.#queriers.some(({ otherUntilMs }) => nowMs < otherUntilMs),
      groups: [...macs].sort(),
    };
  }

  /** Everything is wanted for one reason only: this run is too young to have heard all. */
  isYoung(nowMs: number): boolean {
    return nowMs < this.#settledAtMs && this.#everythingUntilMs === this.#settledAtMs;
  }

  /** When what is said changes by time alone, without a report; infinite: it does not. */
  settlesAtMs(nowMs: number): number {
    const times = [this.#everythingUntilMs, ...this.#queriers.map((other) => other.otherUntilMs)];
    return Math.min(...times.filter((atMs) => atMs > nowMs));
  }

  get nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const querier of this.#queriers) next = Math.min(next, querier.nextMs);
    for (const { expiresAtMs, asksLeft, nextAskMs } of this.#groups.values()) {
      next = Math.min(next, asksLeft > 0 ? nextAskMs : expiresAtMs);
    }
    return next;
  }

  /** An IGMP or MLD frame of this host. `missed`: so many before it were not seen. */
  onFrame(frame: Uint8Array, missed: number, nowMs: number): void {
    if (missed > 0) this.#wantEverything(nowMs);
    const message = readMembership(frame);
    if (message?.kind === 'query') this.#onQuery(message.family, message.source, nowMs);
    if (message?.kind !== 'report') return;
    for (const group of message.joined) this.#join(group, nowMs);
    for (const group of message.left) this.#leave(group, nowMs);
  }

  /** @returns frames for the bridge. */
  onDeadline(nowMs: number): Uint8Array[] {
    const queries: Query[] = [];
    for (const querier of this.#queriers) {
      if (nowMs >= querier.nextMs) queries.push(...this.#ask(querier, nowMs));
    }
    for (const [group, listened] of this.#groups) {
      if (listened.asksLeft > 0 && nowMs >= listened.nextAskMs) {
        listened.asksLeft -= 1;
        listened.nextAskMs = nowMs + STEP_MS;
        const family = group.length === 8 ? 4 : 6;
        queries.push({ family, group, maxResponseMs: LAST_RESPONSE_MS });
      }
      if (nowMs >= listened.expiresAtMs) this.#groups.delete(group);
    }
    return queries.map((query) => queryFrame(query, this.#source));
  }

  #ask(querier: Querier, nowMs: number): readonly Query[] {
    if (nowMs < querier.otherUntilMs) {
      querier.nextMs = querier.otherUntilMs;
      return [];
    }
    const isStarting = querier.asked < LAST_ASKED;
    querier.asked += 1;
    querier.nextMs = nowMs + (querier.asked < LAST_ASKED ? START_AGAIN_MS : QUERY_INTERVAL_MS);
    const maxResponseMs = isStarting ? START_RESPONSE_MS : QUERY_RESPONSE_MS;
    return [{ family: querier.family, maxResponseMs }];
  }

  /** Snooping switches ask from 0.0.0.0 and are no routers. */
  #onQuery(family: 4 | 6, source: Uint8Array, nowMs: number): void {
    const isSwitch = source.every((byte) => byte === 0) || hex(source) === this.#ownIpv6;
    const querier = this.#queriers.find((other) => other.family === family);
    if (isSwitch || !querier) return;
    querier.otherUntilMs = nowMs + OTHER_QUERIER_MS;
    querier.nextMs = querier.otherUntilMs;
  }

  #join(group: GroupAddress, nowMs: number): void {
    if (!isSnoopedMac(macOfGroup(group))) return;
    const known = this.#groups.get(group);
    if (known) {
      known.expiresAtMs = nowMs + MEMBERSHIP_MS;
      known.asksLeft = 0;
      return;
    }
    if (this.#groups.size >= MAX_OWN_GROUPS) {
      this.#wantEverything(nowMs);
      return;
    }
    const expiresAtMs = nowMs + MEMBERSHIP_MS;
    this.#groups.set(group, { expiresAtMs, asksLeft: 0, nextAskMs: 0 });
  }

  #leave(group: GroupAddress, nowMs: number): void {
    const known = this.#groups.get(group);
    if (!known || known.asksLeft > 0) return;
    known.asksLeft = LAST_ASKED;
    known.nextAskMs = nowMs;
    known.expiresAtMs = nowMs + LAST_ASKED * STEP_MS + SLACK_MS;
  }

  #wantEverything(nowMs: number): void {
    this.#everythingUntilMs = Math.max(this.#everythingUntilMs, nowMs + MEMBERSHIP_MS);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
