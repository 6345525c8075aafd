import { OverlayError } from '../base/errors.js';
import { formatTarget, targetKey } from '../model/target.js';
import type { PortSpec } from '../netdev/attachment-host.js';
import { bareAddress, isInSubnetOf, parseAddresses } from './address-want.js';
import { shapeOf } from './derive.js';
import type { Attachment } from './model.js';
import { leftovers, planStep } from './plan.js';
import type {
  AlarmClock,
  AttachmentStore,
  PortHost,
  TargetFinder,
  TargetLocation,
} from './ports.js';
import { attachmentOf, type AttachRequest, type WorkloadOptions } from './request.js';
import { fromStored, toStored } from './stored.js';

/*
 * Keeps attachments as they were asked for: one change after the other, each whole or not at all.
 *
 *   attach   interface ─ store           (what fails takes the interface away again)
 *   detach   store ─ interface           (what a crash leaves in between is a leftover, removed at the next start)
 *   start, and every few seconds: plan.ts for each, so that a namespace that comes back under its name has all of it again
 */

/** Two looks at files per attachment: cheap enough to be done often. */
const LOOK_MS = 2000;
const MAX_ATTACHMENTS = 1024;

/** How `ps` shows it. */
export interface AttachmentReport {
  readonly target: string;
  readonly network: string;
  readonly ifname: string;
  readonly mac: string | null;
  readonly addresses: readonly string[];
  readonly name: string | null;
  /** `waiting`: the target is not there, or its interface could not be made: see `reason`. */
  readonly state: 'attached' | 'waiting';
  readonly reason: string | null;
}

export interface WorkloadComponents {
  readonly host: PortHost;
  readonly targets: TargetFinder;
  readonly store: AttachmentStore;
  readonly alarm: AlarmClock;
  /** Cidr texts of the node itself. */
  readonly ownAddresses: () => readonly string[];
  /** Something that the operator should know; said once per change. */
  readonly warn: (
    message: string,
    about: { readonly err?: unknown; readonly target?: string },
  ) => void;
}

interface Entry {
  readonly attachment: Attachment;
  /** Why it is not attached now. */
  readonly reason: string | undefined;
  /** Inode it is attached in. */
  readonly inode: number;
}

export class Workloads {
  readonly #components: WorkloadComponents;
  readonly #options: WorkloadOptions;
  readonly #entries = new Map<string, Entry>();
  #queue: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(components: WorkloadComponents, options: WorkloadOptions) {
    this.#components = components;
    this.#options = options;
    for (const [key, value] of components.store.attachments()) {
      const attachment = fromStored(value, options);
      if (attachment === undefined) {
        components.warn('A stored attachment is damaged and left out', { target: key });
      } else if (this.#entries.size < MAX_ATTACHMENTS) {
        this.#put(attachment, 'not looked at yet');
      }
    }
  }

  /** The bridge is up. What cannot be attached waits; it never throws for one of them. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#reconcile(true);
      this.#arm();
    });
  }

  /** Attachments stay, and their traffic goes on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#queue;
  }

  /** In the order of their targets' names. */
  list(): readonly AttachmentReport[] {
    const reports = [...this.#entries.values()].map(({ attachment, reason }) => ({
      target: formatTarget(attachment.target),
      network: attachment.network,
      ifname: attachment.ifName,
      mac: attachment.mac ?? null,
      addresses: attachment.addresses,
      name: null,
      state: reason === undefined ? ('attached' as const) : ('waiting' as const),
      reason: reason ?? null,
    }));
    return reports.sort((left, right) => (left.target < right.target ? -1 : 1));
  }

  /** @returns the addresses asked for. @throws OverlayError, with nothing changed */
  attach(request: AttachRequest): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const target = this.#components.targets.find(request.target);
      const key = targetKey(target);
      const existing = [...this.#entries.values()].find(
        (entry) => targetKey(entry.attachment.target) === key,
      )?.attachment;
      const { attachment, asked } = attachmentOf(request, target, existing, this.#options);
      this.#mustBeFree(attachment);
      await this.#bring(attachment, existing);
      return asked;
    });
  }

  /** No addresses: all of it. @returns the addresses that went. @throws OVL_ADDRESS_INVALID, OVL_IFACE_CONFIG */
  detach(targetText: string, addressTexts: readonly string[]): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const addresses = addressTexts.length === 0 ? undefined : parseAddresses(addressTexts);
      const entry = this.#find(targetText);
      if (entry === undefined) return [];
      const { attachment } = entry;
      const removed = addresses?.filter((cidr) => attachment.addresses.includes(cidr));
      const kept = attachment.addresses.filter((cidr) => !(removed?.includes(cidr) ?? true));
      if (removed === undefined || (kept.length === 0 && removed.length > 0)) {
        await this.#forget(attachment);
        return attachment.addresses;
      }
      if (removed.length === 0) return [];
      const near = (gateway: string): boolean => kept.some((cidr) => isInSubnetOf(gateway, cidr));
      const isNear = attachment.gateway !== undefined && near(attachment.gateway);
      const gateway = isNear ? attachment.gateway : undefined;
      const fewer = { ...attachment, addresses: kept, gateway };
      this.#components.store.writeAttachment(attachment.id, toStored(fewer));
      this.#put(fewer, entry.reason, entry.inode);
      const location = this.#components.targets.locate(attachment.target);
      if (entry.reason === undefined && location.state === 'present') {
        await this.#components.host.changeInside(this.#specOf(fewer, location), removed);
      }
      return removed;
    });
  }

  async #bring(attachment: Attachment, existing: Attachment | undefined): Promise<void> {
    const { host, store, targets } = this.#components;
    const location = targets.locate(attachment.target);
    if (location.state !== 'present') throw vanished(attachment);
    const found = (await host.observe()).get(attachment.port);
    const step = planStep(attachment, location, found, this.#options.ifName);
    const spec = this.#specOf(attachment, location);
    const undo = async (): Promise<void> => {
      if (existing === undefined || step === 'create') await host.removePort(attachment.port);
      else {
        const added = attachment.addresses.filter((cidr) => !existing.addresses.includes(cidr));
        await host.changeInside(this.#specOf(existing, location), added);
      }
    };
    if (step === 'create') await host.createPort(spec);
    try {
      if (step === 'rejoin') await host.rejoin(spec);
      if (step !== 'create') await host.changeInside(spec, []);
      store.writeAttachment(attachment.id, toStored(attachment));
    } catch (error) {
      await undo().catch(() => undefined);
      throw error;
    }
    this.#put(attachment, undefined, location.inode);
  }

  async #reconcile(isStart: boolean): Promise<void> {
    const { host, targets } = this.#components;
    const { ifName } = this.#options;
    const ports = await host.observe();
    if (isStart) {
      for (const port of leftovers(new Set(this.#entries.keys()), ports, ifName)) {
        await host.removePort(port).catch((err: unknown) => {
          this.#components.warn('A leftover interface cannot be removed', { err, target: port });
        });
      }
    }
    for (const { attachment } of [...this.#entries.values()]) {
      const location = targets.locate(attachment.target);
      const step = planStep(attachment, location, ports.get(attachment.port), ifName);
      await this.#take(step, attachment, location, isStart);
    }
  }

  async #take(
    step: ReturnType<typeof planStep>,
    attachment: Attachment,
    location: TargetLocation,
    isStart: boolean,
  ): Promise<void> {
    const { host } = this.#components;
    if (step === 'forget') {
      await this.#forget(attachment).catch((err: unknown) => {
        this.#components.warn('What a target left cannot be removed', { err });
      });
      return;
    }
    if (location.state !== 'present') {
      this.#put(attachment, 'the target is not there', 0);
      return;
    }
    try {
      const spec = this.#specOf(attachment, location);
      if (step === 'create') await host.createPort(spec);
      if (step === 'rejoin') await host.rejoin(spec);
      // A process that died may have written down an address that it had not set yet.
      if (step === 'rejoin' || (step === 'keep' && isStart)) await host.changeInside(spec, []);
      this.#put(attachment, undefined, location.inode);
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      const target = formatTarget(attachment.target);
      if (this.#entries.get(attachment.id)?.reason !== reason) {
        this.#components.warn(`Cannot attach ${target}: ${reason}`, { err, target });
      }
      this.#put(attachment, reason, 0);
    }
  }

  async #forget(attachment: Attachment): Promise<void> {
    this.#components.store.writeAttachment(attachment.id, undefined);
    this.#entries.delete(attachment.id);
    await this.#components.host.removePort(attachment.port);
  }

  #arm(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#components.alarm.set(LOOK_MS, () => {
      void this.#inTurn(async () => {
        try {
          if (this.#isOff()) await this.#reconcile(false);
        } catch (err) {
          this.#components.warn('The interfaces of this host cannot be read', { err });
        }
        this.#arm();
      });
    });
  }

  /** Whether an attachment is not as it was left: its interface is gone, or its target is another one now. */
  #isOff(): boolean {
    const { host, targets } = this.#components;
    return [...this.#entries.values()].some(({ attachment, reason, inode }) => {
      const location = targets.locate(attachment.target);
      if (location.state === 'absent') return reason === undefined;
      if (location.state === 'gone' || reason !== undefined) return true;
      return location.inode !== inode || !host.hasPort(attachment.port);
    });
  }

  /** By the text that `ps` shows, since the target may be gone; else by what the text means now. */
  #find(text: string): Entry | undefined {
    const entries = [...this.#entries.values()];
    const shown = entries.find(({ attachment }) => formatTarget(attachment.target) === text);
    if (shown !== undefined) return shown;
    try {
      const key = targetKey(this.#components.targets.find(text));
      return entries.find(({ attachment }) => targetKey(attachment.target) === key);
    } catch {
      return undefined;
    }
  }

  /** @throws OVL_ADDRESS_IN_USE, OVL_USAGE */
  #mustBeFree({ id, addresses, mac, isMacGiven }: Attachment): void {
    if (!this.#entries.has(id) && this.#entries.size >= MAX_ATTACHMENTS) {
      throw new OverlayError('OVL_USAGE', `${MAX_ATTACHMENTS} targets are attached already`, {
        cure: 'Detach some first.',
      });
    }
    const own = this.#components.ownAddresses().map((cidr) => [bareAddress(cidr), 'this node']);
    const others = [...this.#entries.values()].filter((entry) => entry.attachment.id !== id);
    const taken = new Map([
      ...own.map(([bare = '', holder = '']) => [bare, holder] as const),
      ...others.flatMap(({ attachment }) =>
        attachment.addresses.map(
          (cidr) => [bareAddress(cidr), formatTarget(attachment.target)] as const,
        ),
      ),
    ]);
    for (const cidr of addresses) {
      const holder = taken.get(bareAddress(cidr));
      if (holder === undefined) continue;
      throw new OverlayError('OVL_ADDRESS_IN_USE', `${cidr} is the address of ${holder}`, {
        value: cidr,
        cure: 'Choose another one, or detach that first (overlayctl ps).',
      });
    }
    const twin = others.find(({ attachment }) => isMacGiven && attachment.mac === mac);
    if (twin === undefined) return;
    const holder = formatTarget(twin.attachment.target);
    throw new OverlayError('OVL_TARGET_CONFLICT', `${mac ?? ''} is the MAC of ${holder}`, {
      value: mac ?? '',
      cure: 'Choose another one.',
    });
  }

  #specOf(
    attachment: Attachment,
    location: Extract<TargetLocation, { state: 'present' }>,
  ): PortSpec {
    const { id, port, mac, mtuBytes, ifName, addresses, gateway, routes, target } = attachment;
    return {
      ...{ port, mac, mtuBytes, bridge: this.#options.ifName },
      mark: { attachment: id, inode: location.inode, shape: shapeOf(attachment) },
      inside:
        target.kind === 'tap'
          ? undefined
          : { path: location.path, ifName, addresses, gateway, routes },
    };
  }

  #put(attachment: Attachment, reason: string | undefined, inode = 0): void {
    this.#entries.set(attachment.id, { attachment, reason, inode });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}

function vanished({ target }: Attachment): OverlayError {
  const text = formatTarget(target);
  return new OverlayError('OVL_TARGET_UNKNOWN', `The target '${text}' has just gone`, {
    value: text,
    cure: 'Try again when it is back.',
  });
}
