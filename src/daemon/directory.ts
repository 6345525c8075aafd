import type { PeerId } from '../model/peer-id.js';
import type { PeerInfo } from '../wire/control.js';

/** What peers say about themselves. Names are labels: the first key seen with a name keeps it (docs/protocol.md §0). */
export class Directory {
  readonly #pins = new Map<string, PeerId>();
  readonly #info = new Map<PeerId, PeerInfo>();
  readonly #nicknames = new Map<PeerId, string>();
  readonly #fromRecords = new Set<PeerId>();

  constructor(ownId: PeerId, ownNickname: string) {
    this.learnNickname(ownId, ownNickname);
  }

  /** @returns whether the name was another's already. */
  learnNickname(id: PeerId, nickname: string): 'new' | 'known' | 'clash' {
    const before = this.#nicknames.get(id);
    if (before === nickname) return 'known';
    if (before !== undefined && this.#pins.get(before) === id) this.#pins.delete(before);
    this.#nicknames.set(id, nickname);
    const owner = this.#pins.get(nickname);
    if (owner !== undefined && owner !== id) return 'clash';
    this.#pins.set(nickname, id);
    return 'new';
  }

  learn(id: PeerId, info: PeerInfo): 'new' | 'known' | 'clash' {
    this.#info.set(id, info);
    this.#fromRecords.delete(id);
    return this.learnNickname(id, info.nickname);
  }

  /** What its record says; a link's own message says it first-hand and stays. */
  learnRecord(
    id: PeerId,
    record: Omit<PeerInfo, 'presence' | 'met' | 'idle'>,
  ): 'new' | 'known' | 'clash' {
    const { nickname, addresses, version } = record;
    if (!this.#info.has(id) || this.#fromRecords.has(id)) {
      this.#info.set(id, { nickname, addresses, version });
      this.#fromRecords.add(id);
    }
    return this.learnNickname(id, nickname);
  }

  /** As the peer calls itself; empty before it said so. */
  nicknameOf(id: PeerId): string {
    return this.#nicknames.get(id) ?? '';
  }

  /** As people see it: a name that was another's first carries the start of the id. */
  shownName(id: PeerId): string {
    const nickname = this.#nicknames.get(id);
    if (nickname === undefined || nickname === '') return id.slice(0, 8);
    return this.#pins.get(nickname) === id ? nickname : `${nickname}~${id.slice(0, 4)}`;
  }

  addressesOf(id: PeerId): readonly string[] {
    return this.#info.get(id)?.addresses ?? [];
  }

  versionOf(id: PeerId): string | undefined {
    return this.#info.get(id)?.version;
  }

  /** Who says that this address, without a prefix length, is its own. */
  ownerOf(address: string): PeerId | undefined {
    for (const [id, { addresses }] of this.#info) {
      if (addresses.some((cidr) => cidr.split('/')[0] === address)) return id;
    }
    return undefined;
  }

  /** Addresses peers said they have, without prefix lengths. */
  takenAddresses(): ReadonlySet<string> {
    const taken = new Set<string>();
    for (const info of this.#info.values()) {
      for (const cidr of info.addresses) taken.add(cidr.split('/')[0] ?? cidr);
    }
    return taken;
  }

  forget(id: PeerId): void {
    this.#info.delete(id);
    this.#fromRecords.delete(id);
    const nickname = this.#nicknames.get(id);
    if (nickname !== undefined && this.#pins.get(nickname) === id) this.#pins.delete(nickname);
    this.#nicknames.delete(id);
  }
}
