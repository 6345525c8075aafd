import { OverlayError } from '../base/errors.js';
import { formatTarget, targetKey, type Target } from '../model/target.js';
import { bareAddress } from './address-want.js';
import type { Attachment } from './model.js';
import type { TargetFinder } from './ports.js';

const MAX_ATTACHMENTS = 1024;

/** An attachment, and how it stands. */
export interface Entry {
  readonly attachment: Attachment;
  /** Why it is not attached now. */
  readonly reason: string | undefined;
  /** Inode it is attached in. */
  readonly inode: number;
}

/**
 * What is asked for on this host, by attachment id: at most 1 024. Beside it, what is on its way: an attachment that comes,
 * or changes, or goes. Until that is over its addresses and its MAC are taken, its port is guarded and its network in use.
 */
export class Entries {
  readonly #entries = new Map<string, Entry>();
  /** As they will be, or were. */
  readonly #moving = new Map<string, Attachment>();
  #isTelling = false;
  readonly #onChange: (attached: readonly Attachment[]) => void;

  /** `onChange` is told those that are attached now: once for all that changes in the same moment. */
  constructor(onChange: (attached: readonly Attachment[]) => void) {
    this.#onChange = onChange;
  }

  get isFull(): boolean {
    return this.#count >= MAX_ATTACHMENTS;
  }

  get #count(): number {
    return new Set([...this.#entries.keys(), ...this.#moving.keys()]).size;
  }

  get ids(): ReadonlySet<string> {
    return new Set(this.#entries.keys());
  }

  /** A copy: what is done meanwhile does not disturb whoever walks it. */
  get all(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** Those whose interface is there. */
  get attached(): readonly Attachment[] {
    return this.all
      .filter(({ reason }) => reason === undefined)
      .map(({ attachment }) => attachment);
  }

  /** Those that have an interface, or may have one in a moment. */
  get present(): readonly Attachment[] {
    const still = this.all.filter(({ attachment }) => !this.#moving.has(attachment.id));
    return [...still.map(({ attachment }) => attachment), ...this.#moving.values()];
  }

  /** It is on its way, until `end`. */
  begin(attachment: Attachment): void {
    this.#moving.set(attachment.id, attachment);
  }

  end(id: string): void {
    this.#moving.delete(id);
  }

  isMoving(id: string): boolean {
    return this.#moving.has(id);
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  put(attachment: Attachment, reason: string | undefined, inode = 0): void {
    this.#entries.set(attachment.id, { attachment, reason, inode });
    this.#tell();
  }

  delete(id: string): void {
    if (this.#entries.delete(id)) this.#tell();
  }

  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#onChange(this.attached);
    });
  }

  /** On any network. */
  of(target: Target): readonly Attachment[] {
    const key = targetKey(target);
    return this.all.flatMap(({ attachment }) =>
      targetKey(attachment.target) === key ? [attachment] : [],
    );
  }

  /** Something is on that network. */
  isUsing(network: string): boolean {
    return this.present.some((attachment) => attachment.network === network);
  }

  /** What is to be done with such a text is to wait for what is done with a target of this name: formatTarget. */
  nameOf(text: string, targets: TargetFinder): string | undefined {
    const isShown = this.present.some(({ target }) => formatTarget(target) === text);
    if (isShown) return text;
    try {
      return formatTarget(targets.find(text));
    } catch {
      return undefined;
    }
  }

  /** By the text that `ps` shows, since the target may be gone; else by what the text means now. */
  find(text: string, targets: TargetFinder): readonly Attachment[] {
    const shown = this.all.flatMap(({ attachment }) =>
      formatTarget(attachment.target) === text ? [attachment] : [],
    );
    if (shown.length > 0) return shown;
    try {
      return this.of(targets.find(text));
    } catch {
      return [];
    }
  }

  /** The target that has a bare address on a network. */
  holderOf(network: string, address: string): string | undefined {
    const has = (attachment: Attachment): boolean =>
      attachment.network === network &&
      attachment.addresses.some((cidr) => bareAddress(cidr) === address);
    const found = this.present.find(has);
    return found && formatTarget(found.target);
  }

  /**
   * Whether it may stand beside the others.
   * @param ownAddresses cidr texts of the node itself on that network
   * @throws OVL_ADDRESS_IN_USE, OVL_TARGET_CONFLICT, OVL_USAGE
   */
  mustFit(attachment: Attachment, ownAddresses: readonly string[]): void {
    const { id, addresses, mac, isMacGiven, network } = attachment;
    if (!this.#entries.has(id) && this.isFull) {
      throw new OverlayError('OVL_USAGE', `${MAX_ATTACHMENTS} targets are attached already`, {
        cure: 'Detach some first.',
      });
    }
    const own = ownAddresses.map((cidr) => [bareAddress(cidr), 'this node'] as const);
    const others = this.present.filter((other) => other.id !== id && other.network === network);
    const taken = new Map([
      ...own,
      ...others.flatMap((other) =>
        other.addresses.map((cidr) => [bareAddress(cidr), formatTarget(other.target)] as const),
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
    const twin = others.find((other) => isMacGiven && other.mac === mac);
    if (twin === undefined) return;
    const holder = formatTarget(twin.target);
    throw new OverlayError('OVL_TARGET_CONFLICT', `${mac ?? ''} is the MAC of ${holder}`, {
      value: mac ?? '',
      cure: 'Choose another one.',
    });
  }
}
