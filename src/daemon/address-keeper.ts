import type { EventDocument } from '../api/control.js';
import { macOfPeer, shortPeerId, type PeerId } from '../model/peer-id.js';
import type { Mac } from '../model/mac.js';
import type { OwnAddress } from './own-address.js';
import type { HostInterface, Logger, StateStore } from './ports.js';

/** A candidate that another machine defends is skipped; more than this many in a row means something else is wrong. */
const PROBES_PER_MOVE = 8;

export interface AddressKeeperComponents {
  readonly own: OwnAddress;
  readonly host: HostInterface;
  readonly state: StateStore;
  readonly log: Logger;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  /** The peer a bridge MAC belongs to. */
  readonly peerOfMac: (mac: Mac) => PeerId | undefined;
  readonly takenAddresses: () => ReadonlySet<string>;
  /** Own addresses changed: peers are to be told. */
  readonly onChanged: () => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Keeps this node's addresses on the bridge and free of clashes. At start they are set at once, since nobody is there
 * who could have them; once a peer is linked they are probed, and what peers say about theirs is compared. Steps run
 * one after the other.
 */
export class AddressKeeper {
  readonly #components: AddressKeeperComponents;
  readonly #ownMac: Mac;
  #work: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isProbed = false;
  #isMoving = false;
  /** Peers told about as clashing, so that it is said once. */
  #clashWith = '';

  constructor(components: AddressKeeperComponents, ownId: PeerId) {
    this.#components = components;
    this.#ownMac = macOfPeer(ownId);
  }

  get cidrs(): readonly string[] {
    return this.#components.own.cidrs;
  }

  /** @throws what the host interface throws. */
  async start(): Promise<void> {
    await this.#set();
  }

  /** A first peer is there: somebody could have our address. */
  onPeerUp(): void {
    if (this.#isProbed || this.#isStopped) return;
    this.#isProbed = true;
    this.#enqueue(async () => {
      const { own, host } = this.#components;
      if (own.address === undefined) return;
      const mac = await host.probeAddress(own.address);
      if (mac !== undefined && mac !== this.#ownMac) await this.#onClash(mac);
    });
  }

  /** A peer says which addresses it has. */
  onClaim(peer: PeerId, cidrs: readonly string[]): void {
    const { address } = this.#components.own;
    const isClaimed = address !== undefined && cidrs.some((cidr) => cidr.split('/')[0] === address);
    if (!isClaimed || this.#isMoving || this.#isStopped) return;
    this.#isMoving = true;
    this.#enqueue(async () => {
      this.#isMoving = false;
      if (this.#components.own.address === address) await this.#onClash(macOfPeer(peer));
    });
  }

  /** Waits for the step under way; nothing begins after this. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#work;
  }

  #enqueue(step: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#isStopped) return;
      try {
        await step();
      } catch (error) {
        this.#components.onFailure(error);
      }
    });
  }

  async #onClash(mac: Mac): Promise<void> {
    const { own, host, emit } = this.#components;
    const peer = this.#components.peerOfMac(mac);
    const address = own.address ?? '';
    const who = peer ? `peer ${shortPeerId(peer)}` : mac;
    const about = { code: 'address-conflict' as const, ...(peer && { peer }) };
    if (!own.mustMove(peer)) {
      if (this.#clashWith === `${address} ${mac}`) return;
      this.#clashWith = `${address} ${mac}`;
      const cure = own.canMove
        ? 'Nothing to do: the node with the larger id takes another address.'
        : 'Give one of the two another --address.';
      emit({ level: 'warn', message: `${address} is also used by ${who}`, cure, ...about });
      return;
    }
    for (let probes = 0; probes < PROBES_PER_MOVE; probes++) {
      own.move(this.#components.takenAddresses());
      if (own.address === undefined) break;
      const defender = await host.probeAddress(own.address);
      if (defender === undefined || defender === this.#ownMac) break;
    }
    emit({
      level: 'warn',
      message: `${address} is also used by ${who}; this node moves to ${own.address ?? 'none'}`,
      ...about,
    });
    await this.#set();
    this.#components.onChanged();
  }

  async #set(): Promise<void> {
    const { own, host, state, emit } = this.#components;
    await host.setAddresses(own.cidrs);
    if (own.cidr === undefined) return;
    if (own.canMove) state.saveOwnAddress(own.cidr);
    emit({
      level: 'info',
      code: 'address-set',
      message: `Own addresses are ${own.cidrs.join(', ')}`,
    });
  }
}
