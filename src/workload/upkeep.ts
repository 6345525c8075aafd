import { OverlayError } from '../base/errors.js';
import { formatTarget } from '../model/target.js';
import type { PortSpec } from '../netdev/attachment-host.js';
import type { GuardedPort } from '../netdev/guard-rules.js';
import { tapNameOf } from '../netdev/host-interface.js';
import { Rounds } from '../netdev/rounds.js';
import type { SpoofCount } from '../netdev/port-guard.js';
import { bareAddress } from './address-want.js';
import { shapeOf } from './derive.js';
import type { Entries } from './entries.js';
import { DEFAULT_NETWORK, type Attachment } from './model.js';
import { serversFor } from './name-servers.js';
import { leftovers, planStep, type Step } from './plan.js';
import type {
  AttachmentStore,
  NameServer,
  NetworkHost,
  PortHost,
  TargetFinder,
  TargetLocation,
  PortGuard,
} from './ports.js';
import { toStored } from './stored.js';

/*
 * Makes the host agree with what was asked for, each attachment whole or not at all:
 *
 *   bring    interface ─ store           (what fails takes the interface away again)
 *   forget   store ─ interface           (what a crash leaves in between is a leftover, removed at the next start)
 *   settle   plan.ts for each, so that a namespace that comes back under its name has all of it again
 *
 * The guard between ports knows of an interface before there is one, and until it is gone. Where it cannot be, targets
 * are attached all the same, and that is said.
 *
 * Several may be brought, reduced and forgotten at once, but of one attachment the caller does one thing after the other,
 * and settles while nothing else is done.
 */

export interface UpkeepComponents {
  readonly entries: Entries;
  readonly host: PortHost;
  readonly targets: TargetFinder;
  readonly guard: PortGuard;
  readonly store: AttachmentStore;
  readonly networks: NetworkHost;
  /** Who answers for names on a network now. */
  readonly nameServers: (network: string) => readonly NameServer[];
  /** Something that the operator should know; said once per change. */
  readonly warn: (
    message: string,
    about: { readonly err?: unknown; readonly target?: string },
  ) => void;
}

export class Upkeep {
  readonly #components: UpkeepComponents;
  /** What the guard was told of each: the same again while it is the same. */
  readonly #guarded = new WeakMap<Attachment, GuardedPort>();
  /** One change of the guard for all that come at once. */
  readonly #creations = new Rounds<PortSpec>((specs) => this.#create(specs));
  /** Why there is no guard; said once. */
  #guardReason: string | undefined;

  constructor(components: UpkeepComponents) {
    this.#components = components;
  }

  /** `existing`: what to go back to when it fails. @throws OverlayError, with nothing changed */
  async bring(attachment: Attachment, existing: Attachment | undefined): Promise<void> {
    const { entries, networks } = this.#components;
    // At once, so that what comes next already finds its addresses taken.
    entries.begin(attachment);
    try {
      await networks.bring(attachment.network);
      await this.#bring(attachment, existing);
    } catch (error) {
      entries.end(attachment.id);
      await this.#leave(attachment.network);
      throw error;
    }
  }

  async #bring(attachment: Attachment, existing: Attachment | undefined): Promise<void> {
    const { entries, host, store, targets } = this.#components;
    const location = targets.locate(attachment.target);
    if (location.state !== 'present') throw vanished(attachment);
    // All interfaces are looked at only when there is one of that name: mostly there is none.
    const found = host.hasPort(attachment.port)
      ? (await host.observe()).get(attachment.port)
      : undefined;
    const step = planStep(attachment, location, found, this.#bridgeOf(attachment));
    const spec = this.#specOf(attachment, location);
    const undo = async (): Promise<void> => {
      if (existing === undefined || step === 'create') await host.removePort(attachment.port);
      else {
        const added = attachment.addresses.filter((cidr) => !existing.addresses.includes(cidr));
        await host.changeInside(this.#specOf(existing, location), added);
      }
    };
    const give = async (error: unknown): Promise<never> => {
      entries.end(attachment.id);
      await this.#guard();
      const now = targets.locate(attachment.target);
      const isThere = now.state === 'present' && now.inode === location.inode;
      throw isThere ? error : vanished(attachment, error);
    };
    if (step === 'create') await this.#creations.add(spec).catch(give);
    else await this.#guard();
    try {
      if (step === 'rejoin') await host.rejoin(spec);
      if (step !== 'create') await host.changeInside(spec, []);
      await store.writeAttachment(attachment.id, toStored(attachment));
    } catch (error) {
      await undo().catch(() => undefined);
      await give(error);
    }
    entries.put(attachment, undefined, location.inode);
    entries.end(attachment.id);
    if (step !== 'create') this.#announce(attachment, existing?.addresses ?? []);
  }

  async #create(specs: readonly PortSpec[]): Promise<ReadonlyMap<PortSpec, unknown>> {
    const { host } = this.#components;
    await this.#guard();
    const outcomes = await Promise.allSettled(specs.map((spec) => host.createPort(spec)));
    return new Map(
      specs.flatMap((spec, at) => {
        const outcome = outcomes[at];
        return outcome?.status === 'rejected' ? [[spec, outcome.reason as unknown] as const] : [];
      }),
    );
  }

  /** Takes addresses away; `fewer` is what stays. @throws OVL_IFACE_CONFIG, OVL_STATE_DIR */
  async reduce(fewer: Attachment, removed: readonly string[]): Promise<void> {
    const { entries, host, store, targets } = this.#components;
    const { reason, inode } = entries.get(fewer.id) ?? { reason: undefined, inode: 0 };
    await store.writeAttachment(fewer.id, toStored(fewer));
    entries.put(fewer, reason, inode);
    const location = targets.locate(fewer.target);
    if (reason === undefined && location.state === 'present') {
      await host.changeInside(this.#specOf(fewer, location), removed);
    }
    await this.#guard();
  }

  /** @throws OVL_IFACE_CONFIG, OVL_STATE_DIR */
  async forget(attachment: Attachment): Promise<void> {
    const { entries, host, store } = this.#components;
    entries.begin(attachment);
    try {
      await store.writeAttachment(attachment.id, undefined);
      entries.delete(attachment.id);
      await host.removePort(attachment.port);
    } finally {
      entries.end(attachment.id);
      await this.#guard();
    }
    await this.#leave(attachment.network);
  }

  /** Never throws for one of them. @throws OVL_IFACE_CONFIG when the host cannot be looked at */
  async settle(isStart: boolean): Promise<void> {
    const { entries, host, targets, warn } = this.#components;
    const ports = await host.observe();
    await this.#guard();
    if (isStart) {
      const bridges = new Set(entries.all.map(({ attachment }) => this.#bridgeOf(attachment)));
      bridges.add(this.#components.networks.bridgeOf(DEFAULT_NETWORK));
      for (const port of leftovers(entries.ids, ports, bridges)) {
        await host.removePort(port).catch((err: unknown) => {
          warn('A leftover interface cannot be removed', { err, target: port });
        });
      }
    }
    for (const { attachment } of entries.all) {
      const location = targets.locate(attachment.target);
      const bridge = this.#bridgeOf(attachment);
      const step = planStep(attachment, location, ports.get(attachment.port), bridge);
      await this.#take(step, attachment, location, isStart);
    }
  }

  /** Whether an attachment is not as it was left: its interface or bridge is gone, or its target is another one now. */
  isOff(): boolean {
    const { entries, host, networks, targets } = this.#components;
    const { all } = entries;
    if (all.length === 0) return false;
    const names = host.names();
    return all.some(({ attachment, reason, inode }) => {
      if (entries.isMoving(attachment.id)) return false;
      if (reason === undefined && !networks.isThere(attachment.network)) return true;
      const location = targets.locate(attachment.target);
      if (location.state === 'absent') return reason === undefined;
      if (location.state === 'gone' || reason !== undefined) return true;
      return location.inode !== inode || !names.has(attachment.port);
    });
  }

  /** What targets sent under others' MACs and addresses, by port; none where there is no guard. */
  async spoofs(): Promise<ReadonlyMap<string, SpoofCount>> {
    const { guard } = this.#components;
    try {
      const spoofs = await guard.check();
      this.#guardReason = undefined;
      return spoofs;
    } catch (err) {
      this.#sayUnguarded(err);
      return new Map();
    }
  }

  async #guard(): Promise<void> {
    const { entries, guard } = this.#components;
    const ports = entries.present.map((attachment) => this.#guardedOf(attachment));
    try {
      await guard.set(ports);
      this.#guardReason = undefined;
    } catch (err) {
      this.#sayUnguarded(err);
    }
  }

  #guardedOf(attachment: Attachment): GuardedPort {
    const { port, mac, addresses } = attachment;
    const known = this.#guarded.get(attachment);
    const guarded = known ?? { port, mac, addresses: addresses.map(bareAddress) };
    this.#guarded.set(attachment, guarded);
    return guarded;
  }

  /** What an interface that carries frames got besides, to peers and to the other targets. */
  #announce(attachment: Attachment, known: readonly string[]): void {
    const { id, mac, addresses, network } = attachment;
    const { entries, host } = this.#components;
    const added = addresses.filter((cidr) => !known.includes(cidr));
    if (mac === undefined || added.length === 0) return;
    const others = entries.attached.filter((other) => other.id !== id && other.network === network);
    const devices = [tapNameOf(this.#bridgeOf(attachment)), ...others.map(({ port }) => port)];
    host.announce(mac, added.map(bareAddress), devices);
  }

  #bridgeOf({ network }: Attachment): string {
    return this.#components.networks.bridgeOf(network);
  }

  /** Its bridge goes with the last that is on it. */
  async #leave(network: string): Promise<void> {
    const { entries, networks, warn } = this.#components;
    if (entries.isUsing(network)) return;
    await networks.leave(network).catch((err: unknown) => {
      warn(`What the network ${network} left cannot be removed`, { err });
    });
  }

  #sayUnguarded(err: unknown): void {
    const reason = err instanceof Error ? err.message : String(err);
    if (reason === this.#guardReason) return;
    this.#guardReason = reason;
    this.#components.warn(`Targets of this host are not guarded against each other: ${reason}`, {
      err,
    });
  }

  async #take(
    step: Step,
    attachment: Attachment,
    location: TargetLocation,
    isStart: boolean,
  ): Promise<void> {
    const { entries, host, networks, warn } = this.#components;
    if (step === 'forget') {
      await this.forget(attachment).catch((err: unknown) => {
        warn('What a target left cannot be removed', { err });
      });
      return;
    }
    if (location.state !== 'present') {
      entries.put(attachment, 'the target is not there');
      return;
    }
    try {
      await networks.bring(attachment.network);
      const spec = this.#specOf(attachment, location);
      if (step === 'create') await host.createPort(spec);
      if (step === 'rejoin') await host.rejoin(spec);
      // A process that died may have written down an address that it had not set yet.
      if (step === 'rejoin' || (step === 'keep' && isStart)) await host.changeInside(spec, []);
      entries.put(attachment, undefined, location.inode);
      if (step === 'rejoin') this.#announce(attachment, []);
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      const target = formatTarget(attachment.target);
      if (entries.get(attachment.id)?.reason !== reason) {
        warn(`Cannot attach ${target}: ${reason}`, { err, target });
      }
      entries.put(attachment, reason);
    }
  }

  #specOf(
    attachment: Attachment,
    location: Extract<TargetLocation, { state: 'present' }>,
  ): PortSpec {
    const { id, port, mac, mtuBytes, ifName, addresses, gateway, routes, target } = attachment;
    const { nameServers: serversOf } = this.#components;
    const nameServers = serversFor(attachment, serversOf(attachment.network));
    return {
      ...{ port, mac, mtuBytes, bridge: this.#bridgeOf(attachment) },
      addresses: addresses.map(bareAddress),
      mark: { attachment: id, inode: location.inode, shape: shapeOf(attachment) },
      inside:
        target.kind === 'tap'
          ? undefined
          : { path: location.path, ifName, addresses, gateway, routes, nameServers },
    };
  }
}

function vanished({ target }: Attachment, cause?: unknown): OverlayError {
  const text = formatTarget(target);
  return new OverlayError('OVL_TARGET_UNKNOWN', `The target '${text}' has just gone`, {
    value: text,
    cure: 'Try again when it is back.',
    cause,
  });
}
