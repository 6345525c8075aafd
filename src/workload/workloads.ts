import { OverlayError } from '../base/errors.js';
import type { AttachmentReport, AttachRequest } from '../model/attachment.js';
import { formatTarget } from '../model/target.js';
import type { SpoofCount } from '../netdev/port-guard.js';
import { isInSubnetOf, parseAddresses, parseWants, type AddressWant } from './address-want.js';
import { attachmentId } from './derive.js';
import { Entries } from './entries.js';
import { DEFAULT_NETWORK, type Attachment } from './model.js';
import type { AddressSource, AlarmClock, OwnedAddresses } from './ports.js';
import { attachmentOf, type WorkloadOptions } from './request.js';
import { fromStored } from './stored.js';
import { Turns } from './turns.js';
import { Upkeep, type UpkeepComponents } from './upkeep.js';

/*
 * Keeps attachments as they were asked for: those of one target one change after the other, those of several at once
 * (turns.ts), each whole or not at all (upkeep.ts). At the start, and every few seconds, what there is is compared with
 * what was asked for; while it is made to agree, nothing else is done.
 */

/** Two looks at files per attachment: cheap enough to be done often. */
const LOOK_MS = 2000;
/** One look in so many at the rules of the guard, which costs a program. */
const LOOKS_PER_GUARD_CHECK = 3;

export interface WorkloadComponents extends Omit<UpkeepComponents, 'entries'> {
  readonly alarm: AlarmClock;
  /** Of a network by name. */
  readonly addresses: (network: string) => AddressSource;
  /** Cidr texts of the node itself on a network, exposed ones too. */
  readonly ownAddresses: (network: string) => readonly string[];
  /** What else has addresses of a network: the host itself, of what it exposes there. */
  readonly otherOwners?: (network: string) => OwnedAddresses;
  /** Told what is attached, whenever that may have changed. */
  readonly onChange?: (attached: readonly Attachment[]) => void;
  /** A target went on sending under others' MACs or addresses: all that was dropped. Once per look. */
  readonly onSpoof?: (target: string, dropped: SpoofCount) => void;
}

export class Workloads {
  readonly #components: WorkloadComponents;
  readonly #options: WorkloadOptions;
  readonly #entries: Entries;
  readonly #upkeep: Upkeep;
  readonly #turns = new Turns();
  #looks = 0;
  #spoofs: ReadonlyMap<string, SpoofCount> = new Map();
  #cancel: (() => void) | undefined;
  #isStopped = false;
  /** What each attachment had when it was looked at last: what is missing then is given back. */
  readonly #had = new Map<string, Attachment>();

  constructor(components: WorkloadComponents, options: WorkloadOptions) {
    this.#components = components;
    this.#options = options;
    this.#entries = new Entries((attached) => components.onChange?.(attached));
    this.#upkeep = new Upkeep({ ...components, entries: this.#entries });
    for (const [key, value] of components.store.attachments()) {
      const attachment = fromStored(value, options);
      if (attachment === undefined) {
        components.warn('A stored attachment is damaged and left out', { target: key });
      } else if (!this.#entries.isFull) {
        this.#entries.put(attachment, 'not looked at yet');
      }
    }
  }

  /** The bridge is up. What cannot be attached waits; it never throws for one of them. */
  start(): Promise<void> {
    return this.#inTurn(undefined, async () => {
      this.#keepAddresses();
      await this.#upkeep.settle(true);
      this.#arm();
    });
  }

  /**
   * An address is asked for before it is written down whose it is, and its owner is forgotten before it is given back: what
   * a crash left in between is nobody's, on whichever network.
   */
  #keepAddresses(): void {
    const { addresses, networks, otherOwners } = this.#components;
    for (const name of networks.names) {
      const attached = this.#entries.all
        .filter(({ attachment }) => attachment.network === name)
        .map(({ attachment }) => [attachment.id, attachment.addresses] as const);
      addresses(name).keep(new Map([...attached, ...(otherOwners?.(name) ?? [])]));
    }
  }

  /** The bridge was made anew: what hung on the old one hangs on none. */
  rejoin(): Promise<void> {
    return this.#inTurn(undefined, () => this.#upkeep.settle(false));
  }

  /** Attachments stay, and their traffic goes on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#turns.take(undefined, () => Promise.resolve());
  }

  /** The target that has a bare address on a network. */
  holderOf(network: string, address: string): string | undefined {
    return this.#entries.holderOf(network, address);
  }

  /** Something is on that network, or shall be. */
  isUsing(network: string): boolean {
    return this.#entries.isUsing(network);
  }

  /** In the order of their targets' and networks' names. */
  list(): readonly AttachmentReport[] {
    const reports = this.#entries.all.map(({ attachment, reason }) => ({
      target: formatTarget(attachment.target),
      network: attachment.network,
      ifname: attachment.ifName,
      mac: attachment.mac ?? null,
      addresses: attachment.addresses,
      name: attachment.name ?? null,
      state: reason === undefined ? ('attached' as const) : ('waiting' as const),
      reason: reason ?? null,
      spoofed: this.#spoofs.get(attachment.port) ?? { mac: 0, address: 0 },
    }));
    const keyOf = ({ target, network }: AttachmentReport): string => `${target}\0${network}`;
    return reports.sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
  }

  /** @returns the addresses asked for, or given. @throws OverlayError, with nothing changed */
  async attach(request: AttachRequest): Promise<readonly string[]> {
    const { addresses: sourceOf, networks, targets } = this.#components;
    const network = networks.find(request.network ?? DEFAULT_NETWORK);
    const target = targets.find(request.target);
    const owner = attachmentId(this.#options.ifName, network.name, target);
    const source = sourceOf(network.name);
    // Asked for at once, so that many who wait for the same peer wait together.
    const gathering = this.#gather(source, owner, parseWants(request.addresses));
    gathering.catch(() => undefined);
    return this.#inTurn(formatTarget(target), async () => {
      const given = await gathering;
      const others = this.#entries.of(target);
      const existing = others.find((other) => other.network === network.name);
      try {
        // What stood before this one in the queue may have given them back.
        for (const cidr of given) await source.claim(owner, cidr);
        const addresses = given.length === 0 ? ['none'] : given;
        const resolved = { ...request, addresses };
        const place = { ...this.#options, network, others };
        const { attachment, asked } = attachmentOf(resolved, target, existing, place);
        this.#entries.mustFit(attachment, this.#components.ownAddresses(network.name));
        await this.#upkeep.bring(attachment, existing);
        return asked;
      } catch (error) {
        this.#drop(source, owner, given);
        throw error;
      }
    });
  }

  async #gather(
    source: AddressSource,
    owner: string,
    wants: readonly AddressWant[],
  ): Promise<readonly string[]> {
    const given: string[] = [];
    try {
      for (const want of wants) {
        if (want.kind === 'this') await source.claim(owner, want.cidr);
        given.push(want.kind === 'this' ? want.cidr : await source.give(owner, want.subnet));
      }
      return given;
    } catch (error) {
      this.#drop(source, owner, given);
      throw error;
    }
  }

  /** Gives back what came to nothing. */
  #drop(source: AddressSource, owner: string, given: readonly string[]): void {
    const kept = this.#entries.get(owner)?.attachment.addresses ?? [];
    for (const cidr of given) {
      if (!kept.includes(cidr)) source.release(owner, cidr);
    }
  }

  /**
   * No addresses: all of it. No network: on all that the target is on.
   * @returns the addresses that went
   * @throws OVL_ADDRESS_INVALID, OVL_IFACE_CONFIG, OVL_AMBIGUOUS for an address it has on several networks
   */
  detach(
    targetText: string,
    addressTexts: readonly string[],
    network?: string,
  ): Promise<readonly string[]> {
    const about = this.#entries.nameOf(targetText, this.#components.targets);
    return this.#inTurn(about, async () => {
      const asked = addressTexts.length === 0 ? undefined : parseAddresses(addressTexts);
      const found = this.#entries
        .find(targetText, this.#components.targets)
        .filter((attachment) => network === undefined || attachment.network === network);
      for (const cidr of asked ?? []) mustBeOnOne(found, cidr);
      const gone: string[] = [];
      for (const attachment of found) gone.push(...(await this.#detach(attachment, asked)));
      return gone;
    });
  }

  async #detach(
    attachment: Attachment,
    asked: readonly string[] | undefined,
  ): Promise<readonly string[]> {
    const removed = asked?.filter((cidr) => attachment.addresses.includes(cidr));
    const kept = attachment.addresses.filter((cidr) => !(removed?.includes(cidr) ?? true));
    if (removed === undefined || (kept.length === 0 && removed.length > 0)) {
      await this.#upkeep.forget(attachment);
      return attachment.addresses;
    }
    if (removed.length === 0) return [];
    const near = (gateway: string): boolean => kept.some((cidr) => isInSubnetOf(gateway, cidr));
    const isNear = attachment.gateway !== undefined && near(attachment.gateway);
    const gateway = isNear ? attachment.gateway : undefined;
    await this.#upkeep.reduce({ ...attachment, addresses: kept, gateway }, removed);
    return removed;
  }

  async #watchSpoofs(): Promise<void> {
    const before = this.#spoofs;
    this.#spoofs = await this.#upkeep.spoofs();
    for (const { attachment } of this.#entries.all) {
      const now = this.#spoofs.get(attachment.port);
      const was = before.get(attachment.port) ?? { mac: 0, address: 0 };
      if (now === undefined || now.mac + now.address <= was.mac + was.address) continue;
      this.#components.onSpoof?.(formatTarget(attachment.target), now);
    }
  }

  #arm(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#components.alarm.set(LOOK_MS, () => {
      this.#looks += 1;
      const isGuardDue = this.#looks % LOOKS_PER_GUARD_CHECK === 0;
      // Who attaches is held up only when there is something to do.
      if (!isGuardDue && !this.#upkeep.isOff()) {
        this.#arm();
        return;
      }
      void this.#inTurn(undefined, async () => {
        try {
          if (this.#upkeep.isOff()) await this.#upkeep.settle(false);
          if (isGuardDue) await this.#watchSpoofs();
        } catch (err) {
          this.#components.warn('The interfaces of this host cannot be read', { err });
        }
        this.#arm();
      });
    });
  }

  /** `about`: whose attachments were worked on; of others something may be under way. */
  #giveBack(about: string | undefined): void {
    const have = new Map(this.#entries.all.map(({ attachment }) => [attachment.id, attachment]));
    for (const [id, attachment] of this.#had) {
      if (about !== undefined && formatTarget(attachment.target) !== about) continue;
      const { network, addresses } = attachment;
      const kept = have.get(id)?.addresses ?? [];
      const gone = addresses.filter((cidr) => !kept.includes(cidr));
      for (const cidr of gone) this.#components.addresses(network).release(id, cidr);
      this.#had.delete(id);
    }
    for (const [id, attachment] of have) {
      if (about === undefined || formatTarget(attachment.target) === about) {
        this.#had.set(id, attachment);
      }
    }
  }

  /** `about`: a target, as formatTarget has it; undefined: all of them. */
  #inTurn<T>(about: string | undefined, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(about, () =>
      work().finally(() => {
        this.#giveBack(about);
      }),
    );
  }
}

/** @throws OVL_AMBIGUOUS */
function mustBeOnOne(attachments: readonly Attachment[], cidr: string): void {
  const holders = attachments.filter(({ addresses }) => addresses.includes(cidr));
  if (holders.length < 2) return;
  const names = holders.map(({ network }) => network).join(', ');
  throw new OverlayError('OVL_AMBIGUOUS', `The target has ${cidr} on several networks: ${names}`, {
    value: cidr,
    cure: 'Say which: --network <name>.',
  });
}
