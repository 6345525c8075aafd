import type { PeerId } from '../model/peer-id.js';
import type { PeerInfo } from '../wire/control.js';

/** Of one peer; what its records list besides is not looked at. */
interface Entry {
  readonly nickname: string;
  readonly info: Pick<PeerInfo, 'addresses' | 'version'> | undefined;
  readonly isFirstHand: boolean;
}

/** What peers say about themselves. Names are labels: the first key seen with a name keeps it (docs/protocol.md §0). */
export class Directory {
  readonly #pins = new Map<string, PeerId>();
  readonly #entries = new Map<PeerId, Entry>();

  constructor(ownId: PeerId, ownNickname: string) {
    this.learnNickname(ownId, ownNickname);
  }

  /** @returns whether the name was another's already. */
  learnNickname(id: PeerId, nickname: string): 'new' | 'known' | 'clash' {
    const entry = this.#entries.get(id);
    const before = entry?.nickname;
    if (before === nickname) return 'known';
    if (before !== undefined && this.#pins.get(before) === id) this.#pins.delete(before);
    this.#entries.set(id, {
      nickname,
      info: entry?.info,
      isFirstHand: entry?.isFirstHand ?? false,
    });
    const owner = this.#pins.get(nickname);
    if (owner !== undefined && owner !== id) return 'clash';
    this.#pins.set(nickname, id);
    return 'new';
  }

  learn(id: PeerId, info: PeerInfo): 'new' | 'known' | 'clash' {
    const news = this.learnNickname(id, info.nickname);
    this.#entries.set(id, { nickname: info.nickname, info, isFirstHand: true });
    return news;
  }

  /** What its record says; a link's own message says it first-hand and stays. */
  learnRecord(
    id: PeerId,
    record: Omit<PeerInfo, 'presence' | 'met' | 'idle'>,
  ): 'new' | 'known' | 'clash' {
    const news = this.learnNickname(id, record.nickname);
    if (!this.#entries.get(id)?.isFirstHand) {
      this.#entries.set(id, { nickname: record.nickname, info: record, isFirstHand: false });
    }
    return news;
  }

  /** As the peer calls itself; empty before it said so. */
  nicknameOf(id: PeerId): string {
    return this.#entries.get(id)?.nickname ?? '';
  }

  /** As people see it: a name that was another's first carries the start of the id. */
  shownName(id: PeerId): string {
    const nickname = this.#entries.get(id)?.nickname;
    if (nickname === undefined || nickname === '') return id.slice(0, 8);
    return this.#pins.get(nickname) === id ? nickname : `${nickname}~${id.slice(0, 4)}`;
  }

  addressesOf(id: PeerId): readonly string[] {
    return this.#entries.get(id)?.info?.addresses ?? [];
  }

  versionOf(id: PeerId): string | undefined {
    return this.#entries.get(id)?.info?.version;
  }

  /** Who says that this address, without a prefix length, is its own. */
  ownerOf(address: string): PeerId | undefined {
    for (const [id, { info }] of this.#entries) {
      if (info?.addresses.some((cidr) => cidr.split('/')[0] === address)) return id;
    }
    return undefined;
  }

  /** Addresses peers said they have, without prefix lengths. */
  takenAddresses(): ReadonlySet<string> {
    const taken = new Set<string>();
    for (const { info } of this.#entries.values()) {
      for (const cidr of info?.addresses ?? []) taken.add(cidr.split('/')[0] ?? cidr);
    }
    return taken;
  }

  forget(id: PeerId): void {
    const nickname = this.#entries.get(id)?.nickname;
    if (nickname !== undefined && this.#pins.get(nickname) === id) this.#pins.delete(nickname);
    this.#entries.delete(id);
  }
}
