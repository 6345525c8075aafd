import {
  SCHEMA_VERSION,
  type DnsControl,
  type DnsLookupDocument,
  type DnsNamesDocument,
} from '../api/control.js';
import type { Clock } from '../base/clock.js';
import { OverlayError } from '../base/errors.js';
import type { Rng } from '../base/rng.js';
import { Responder } from '../dns/answer.js';
import { DNS_PORT } from '../dns/constants.js';
import { Forwarder } from '../dns/forwarder.js';
import { canonicalAddress } from '../dns/name.js';
import type { OwnName } from '../dns/name-pages.js';
import { ResolvConfUpstreams } from '../dns/upstreams.js';
import { DnsServer, type DnsBinding } from '../dns/server.js';
import { Zone } from '../dns/zone.js';
import { parseHostName, relativeName } from '../model/host-name.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import { macOfPeer, type PeerId } from '../model/peer-id.js';
import { targetKey } from '../model/target.js';
import type { Asker, AskerGuard } from '../netdev/asker-guard.js';
import {
  addNameServerAddress,
  isFilteringReturns,
  linkLocalOf,
  removeNameServerAddress,
  setNameServerRule,
} from '../netdev/name-server-address.js';
import type { ResolvConfFiles } from '../netdev/resolv-conf-files.js';
import { bareAddress } from '../workload/address-want.js';
import type { Exposure } from '../workload/exposures.js';
import { DEFAULT_NETWORK, type Attachment } from '../workload/model.js';
import type { NameServer } from '../workload/ports.js';
import { nameOf } from '../workload/request.js';
import { LocalAskers } from './local-askers.js';
import { MeshNames } from './mesh-names.js';
import type { OsModule } from './os-port.js';
import type { HostWarning, StateStore, Timers } from './ports.js';
import { ReturnRules } from './return-rules.js';
import { resolvConfOf } from './target-resolv-conf.js';

/*
 * Names on this host: who is called what (mesh-names.ts), a server on the network's bridge that says so, and targets
 * that ask it. Without the server the names of this host are told to the mesh all the same.
 */

export interface NameServiceComponents {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly timers: Timers;
  readonly os: Pick<OsModule, 'openBoundSocket'>;
  readonly state: Pick<StateStore, 'declared' | 'writeDeclared'>;
  readonly files: Pick<ResolvConfFiles, 'sync'>;
  readonly warn: (message: string) => void;
  /** Makes sure who asks (netdev/asker-guard.ts). Without it nobody hears names of two networks. */
  readonly askers?: Pick<AskerGuard, 'set'>;
}

export interface NameServiceOptions {
  readonly peer: PeerId;
  readonly domain: string;
  /** Of the default network. */
  readonly bridge: string;
  readonly idOf: (network: string) => NetworkId;
  readonly bridgeOf?: (network: NetworkId) => string;
  /** @throws OVL_NOT_FOUND */
  readonly find: (network: string) => Pick<NetworkDefinition, 'id' | 'name'>;
  readonly nameOf: (network: NetworkId) => string;
  /** Addresses in there are nobody's upstream. */
  readonly pool: string;
  /** False: no server, and targets keep their resolv.conf. */
  readonly isServing: boolean;
  /** Path of the host's resolv.conf. */
  readonly resolvConf: string;
}

const MAX_OWN_NAMES = 1024;
const MAX_ADDRESSES = 64;
interface Place {
  readonly bridge: string;
  readonly bindings: readonly DnsBinding[];
  readonly servers: readonly NameServer[];
}

/** Keys of the state store: this and the name; `@` and the network's name behind it, unless it is the default one. */
const STORED = 'dns/';

/** What the operator added under one name. */
interface AddedName {
  readonly network: string;
  /** Relative. */
  readonly name: string;
  readonly addresses: readonly string[];
}

export class NameService implements DnsControl {
  readonly names: MeshNames;
  readonly #components: NameServiceComponents;
  readonly #options: NameServiceOptions;
  readonly #zone: Zone;
  readonly #server: DnsServer;
  readonly #forwarder: Forwarder;
  readonly #upstreams: ResolvConfUpstreams;
  /** What the operator added, by `addedKey`. */
  readonly #added = new Map<string, AddedName>();
  #attached: readonly Attachment[] = [];
  /** What each says, made once: one of a thousand changes, and all are told again. */
  readonly #ownNames = new WeakMap<Named, OwnName>();
  /** By network. */
  readonly #exposed = new Map<string, Pick<OwnName, 'name' | 'addresses'>>();
  /** What has the server's address, and who is to be asked there. */
  readonly #places = new Map<NetworkId, Place>();
  readonly #returnRules: ReturnRules;
  #writesFiles = false;
  /** Further networks of who asks, by network and address: those for whom the guard is in force. */
  #also: ReadonlyMap<string, readonly NetworkId[]> = new Map();
  #guarded: string | undefined;
  #targets = new LocalAskers([], () => DEFAULT_NETWORK_ID);

  constructor(components: NameServiceComponents, options: NameServiceOptions) {
    const { clock, rng, timers, state, os, warn } = components;
    this.#components = components;
    this.#options = options;
    const { peer } = options;
    this.#returnRules = new ReturnRules({
      isFiltered: isFilteringReturns,
      set: (bridge, network, isOn) => setNameServerRule(bridge, network, { peer, isOn }),
      warn,
    });
    this.#zone = new Zone(options.domain);
    this.#zone.setRanges(DEFAULT_NETWORK_ID, [options.pool]);
    this.names = new MeshNames(
      { zone: this.#zone, nowMs: () => clock.monotonicMs(), warn },
      options.peer,
    );
    this.#upstreams = new ResolvConfUpstreams(
      { clock },
      { path: options.resolvConf, isOwn: (address) => this.#server.answersOn(address) },
    );
    this.#forwarder = new Forwarder({
      clock,
      rng,
      timers,
      upstreams: () => this.#upstreams.current(),
    });
    this.#server = new DnsServer({
      clock,
      timers,
      forwarder: this.#forwarder,
      responder: new Responder({ zone: this.#zone, rng }),
      mayForward: (network, client) => this.#isHere(network, client),
      alsoOf: (network, client) => this.#also.get(`${network} ${client}`) ?? [],
      openBoundSocket: (...words) => os.openBoundSocket(...words),
    });
    for (const [key, addresses] of state.declared(STORED)) {
      const [text = '', network = DEFAULT_NETWORK] = key.slice(STORED.length).split('@');
      const name = parseHostName(text);
      if (name === undefined || !isTexts(addresses)) continue;
      this.#added.set(addedKey(network, name), { network, name, addresses });
    }
    this.#tell();
  }

  /** Who targets on a network are to ask; none while nobody answers there. */
  serversOf(network: string): readonly NameServer[] {
    return this.#places.get(this.#options.idOf(network))?.servers ?? [];
  }

  /** The bridge is up. A server that cannot be is no reason not to start: it is said. */
  async start(): Promise<readonly HostWarning[]> {
    return this.open(DEFAULT_NETWORK_ID, this.#options.bridge);
  }

  /** The bridge was made anew: sockets that were bound to the old one hear nothing. */
  async restart(): Promise<readonly HostWarning[]> {
    await this.close(DEFAULT_NETWORK_ID);
    return this.start();
  }

  async stop(): Promise<void> {
    this.#writesFiles = false;
    this.#forwarder.stop();
    await this.#server.stop();
    for (const network of [...this.#places.keys()]) await this.close(network);
  }

  /** The bridge of a network is up. `ranges`: of its addresses, cidr texts. Like `start`. */
  async open(
    network: NetworkId,
    bridge: string,
    ranges?: readonly string[],
  ): Promise<readonly HostWarning[]> {
    const { isServing, peer } = this.#options;
    if (ranges) this.#zone.setRanges(network, ranges);
    if (!isServing) return [];
    const mac = macOfPeer(peer);
    const bindings: DnsBinding[] = [];
    this.#places.set(network, { bridge, bindings, servers: [] });
    try {
      const { v4, v6, hasRule } = await addNameServerAddress(bridge, network, { peer, mac });
      this.#returnRules.open(network, bridge, hasRule);
      const at = { network, port: DNS_PORT, device: bridge };
      bindings.push({ ...at, address: v4 });
      if (v6 !== undefined) bindings.push({ ...at, address: `${v6}%${bridge}` });
      for (const binding of bindings) await this.#server.open(binding);
      const addresses = [v4, ...(v6 === undefined ? [] : [v6])];
      const servers = addresses.map((address) => ({ address, mac }));
      this.#places.set(network, { bridge, bindings, servers });
      this.#guarded = undefined;
      this.#followAskers();
      return [];
    } catch (error) {
      for (const binding of bindings) await this.#server.close(binding);
      const { message, cure } = error instanceof OverlayError ? error : bug(error);
      return [{ code: 'names-not-answered', message, cure }];
    }
  }

  /** Its bridge goes, or the daemon. */
  async close(network: NetworkId): Promise<void> {
    const place = this.#places.get(network);
    if (network !== DEFAULT_NETWORK_ID) this.#zone.setRanges(network, []);
    if (place === undefined) return;
    this.#places.delete(network);
    this.#returnRules.close(network);
    for (const binding of place.bindings) await this.#server.close(binding);
    await removeNameServerAddress(place.bridge, network, this.#options.peer);
  }

  /** Looks at what of the host may have changed under the servers. Does not fail. */
  follow(): Promise<void> {
    return this.#returnRules.follow();
  }

  /** What is attached is known by now: from here on files of others than those are leftovers. */
  writeFiles(): void {
    this.#writesFiles = true;
    this.#tell();
  }

  /** For `reset`. */
  removeFiles(): void {
    this.#components.files.sync(new Map());
  }

  /** The host's own addresses, if they have a name. */
  setExposed(
    { name, addresses }: Pick<Exposure, 'name' | 'addresses'>,
    network = DEFAULT_NETWORK,
  ): void {
    if (name === undefined) this.#exposed.delete(network);
    else this.#exposed.set(network, { name, addresses });
    this.#tell();
  }

  setAttached(attached: readonly Attachment[]): void {
    this.#attached = attached;
    this.#targets = new LocalAskers(attached, this.#options.idOf);
    this.#tell();
  }

  /** A network is no more, and so are the names that were added on it. @throws OVL_STATE_DIR */
  forgetNetwork(id: NetworkId): void {
    for (const { network, name } of [...this.#added.values()]) {
      if (this.#options.idOf(network) === id) this.#set({ network, name, addresses: [] });
    }
  }

  dnsNames(of?: string): DnsNamesDocument {
    const id = of === undefined ? undefined : this.#options.find(of).id;
    const names = this.#zone.list(id).map(({ network, name, addresses, sources }) => ({
      name,
      network: this.#options.nameOf(network),
      addresses,
      peers: [...new Set(sources.map((source) => source.split('/')[0] ?? source))],
    }));
    const { domain } = this.#options;
    const places = [...this.#places].filter(([network]) => id === undefined || network === id);
    const servers = places.flatMap(([, place]) => place.servers.map(({ address }) => address));
    const upstreams = this.#upstreams.current().map((upstream) => upstream.address);
    return { schema: SCHEMA_VERSION, domain, servers, upstreams, names };
  }

  dnsLookup(text: string, of?: string): DnsLookupDocument {
    const { domain } = this.#options;
    const asked = of === undefined ? undefined : this.#options.find(of);
    const address = canonicalAddress(text);
    const name = address === undefined ? relativeName(text, domain) : undefined;
    const found = this.#zone.list(asked?.id).filter(({ addresses, ...other }) => {
      if (address !== undefined) return addresses.includes(address);
      return other.name === `${name ?? ''}.${domain}`;
    });
    // One network's word: the default one's, where it has any.
    const answers = found.filter(({ network }) => network === found[0]?.network);
    if (answers.length === 0) {
      const where = asked === undefined ? 'in the mesh' : `on the network ${asked.name}`;
      const message =
        address === undefined
          ? `Nobody ${where} is called '${text}'`
          : `No name ${where} stands for the address ${text}`;
      throw new OverlayError('OVL_NOT_FOUND', message, {
        value: text,
        cure: "'overlayctl dns list' shows the names.",
      });
    }
    return {
      schema: SCHEMA_VERSION,
      answers: address === undefined ? (answers[0]?.addresses ?? []) : answers.map((a) => a.name),
    };
  }

  async dnsAdd(
    text: string,
    addresses: readonly string[],
    of = DEFAULT_NETWORK,
  ): Promise<{ addresses: readonly string[] }> {
    const { name: network } = this.#options.find(of);
    const name = nameOf(text, this.#options.domain);
    const asked = addresses.map(addressOf);
    const before = this.#added.get(addedKey(network, name));
    const all = [...new Set([...(before?.addresses ?? []), ...asked])];
    if (all.length > MAX_ADDRESSES) throw tooMany(`The name ${name}`, MAX_ADDRESSES, 'addresses');
    if (before === undefined && this.#added.size >= MAX_OWN_NAMES) {
      throw tooMany('This host', MAX_OWN_NAMES, 'names');
    }
    this.#set({ network, name, addresses: all });
    return Promise.resolve({ addresses: [...new Set(asked)] });
  }

  /** No addresses: all. Of names that attachments have nothing goes. */
  async dnsRemove(
    text: string,
    addresses: readonly string[],
    of = DEFAULT_NETWORK,
  ): Promise<{ addresses: readonly string[] }> {
    const network = this.#addedOn(of);
    const name = nameOf(text, this.#options.domain);
    const asked = addresses.map(addressOf);
    const before = this.#added.get(addedKey(network, name))?.addresses ?? [];
    const gone = before.filter((address) => asked.length === 0 || asked.includes(address));
    const left = before.filter((address) => !gone.includes(address));
    if (gone.length > 0) this.#set({ network, name, addresses: left });
    return Promise.resolve({ addresses: gone });
  }

  /** A network that went while this host was away may still have names of ours. @throws OVL_NOT_FOUND */
  #addedOn(text: string): string {
    const held = [...this.#added.values()].find(({ network }) => network === text.normalize('NFC'));
    return held?.network ?? this.#options.find(text).name;
  }

  /**
   * Who is on several networks hears the names of all from the server of each. Whoever is not any more stops at once;
   * who comes is waited for until nobody else can ask in its name.
   */
  #followAskers(): void {
    const { askers: guard, warn } = this.#components;
    if (guard === undefined || !this.#writesFiles) return;
    const askers = this.#askers();
    const also = new Map(
      askers.flatMap(({ network, addresses, others }) =>
        addresses.map((address) => [`${network} ${address}`, others] as const),
      ),
    );
    const text = JSON.stringify(askers);
    if (text === this.#guarded) return;
    this.#guarded = text;
    this.#also = new Map();
    guard
      .set(askers)
      .then(() => {
        if (this.#guarded === text) this.#also = also;
      })
      .catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        warn(`Targets on several networks hear the names of one alone: ${why}`);
      });
  }

  /**
   * Whether a query comes from a target of this host or from the host itself. One that says so and is elsewhere gets
   * nothing of it: the answer goes to the target.
   */
  #isHere(network: NetworkId, client: string): boolean {
    const isHost = this.#places.get(network)?.servers.some(({ address }) => address === client);
    return isHost === true || this.#targets.has(network, client);
  }

  #askers(): readonly NetworkAsker[] {
    const { idOf, bridgeOf = () => this.#options.bridge } = this.#options;
    const byTarget = new Map<string, Attachment[]>();
    for (const attachment of this.#attached) {
      const key = targetKey(attachment.target);
      if (attachment.dns) byTarget.set(key, [...(byTarget.get(key) ?? []), attachment]);
    }
    return [...byTarget.values()].flatMap((on) => {
      if (on.length < 2) return [];
      const networks = on.map(({ network }) => idOf(network)).sort((a, b) => a - b);
      return on.flatMap(({ network, port, mac, addresses }) => {
        if (mac === undefined) return [];
        const id = idOf(network);
        const own = addresses.flatMap((cidr) => canonicalAddress(bareAddress(cidr)) ?? []);
        const linkLocal = canonicalAddress(linkLocalOf(mac)) ?? [];
        const others = networks.filter((other) => other !== id);
        const place = { network: id, bridge: bridgeOf(id), port, mac, others };
        return { ...place, addresses: own.concat(linkLocal) };
      });
    });
  }

  #set(added: AddedName): void {
    const { state } = this.#components;
    const { network, name, addresses } = added;
    const isLeft = addresses.length > 0;
    const key = addedKey(network, name);
    state.writeDeclared(STORED + key, isLeft ? addresses : undefined);
    if (isLeft) this.#added.set(key, added);
    else this.#added.delete(key);
    this.#tell();
  }

  #ownNameOf({ network, name, addresses }: Named): OwnName | undefined {
    if (name === undefined || addresses.length === 0) return undefined;
    return { network: this.#options.idOf(network), name, addresses: addresses.map(bareAddress) };
  }

  #tell(): void {
    const names = new Map<string, OwnName>();
    for (const [key, { network, name, addresses }] of this.#added) {
      names.set(`dns:${key}`, { network: this.#options.idOf(network), name, addresses });
    }
    const exposed = [...this.#exposed].map(([network, own]) => ({
      ...{ id: network === DEFAULT_NETWORK ? 'expose' : `expose/${network}`, network },
      ...own,
    }));
    for (const each of [...exposed, ...this.#attached]) {
      const own = this.#ownNames.get(each) ?? this.#ownNameOf(each);
      if (own === undefined) continue;
      this.#ownNames.set(each, own);
      names.set(each.id, own);
    }
    this.names.setOwn(names);
    if (!this.#writesFiles) return;
    this.#followAskers();
    const { domain, resolvConf } = this.#options;
    const serversOf = (network: string): readonly NameServer[] => this.serversOf(network);
    this.#components.files.sync(resolvConfOf(this.#attached, serversOf, domain, resolvConf));
  }
}

interface Named {
  readonly id: string;
  readonly network: string;
  readonly name: string | undefined;
  readonly addresses: readonly string[];
}

/** Those of one target are in the order of their networks' ids. */
interface NetworkAsker extends Asker {
  readonly network: NetworkId;
  readonly others: readonly NetworkId[];
}

function addedKey(network: string, name: string): string {
  return network === DEFAULT_NETWORK ? name : `${name}@${network}`;
}

function addressOf(text: string): string {
  const address = canonicalAddress(bareAddress(text));
  if (address !== undefined) return address;
  throw new OverlayError('OVL_ADDRESS_INVALID', `'${text}' is not an address`, {
    value: text,
    cure: 'Give it like 10.1.2.3 or fd00::5.',
  });
}

function tooMany(who: string, limit: number, what: string): OverlayError {
  return new OverlayError('OVL_USAGE', `${who} has ${limit} ${what} already`, {
    cure: 'Remove some first: overlayctl dns remove.',
  });
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function bug(error: unknown): { message: string; cure: string } {
  const text = error instanceof Error ? error.message : String(error);
  return { message: `Names are not answered: ${text}`, cure: "Run 'overlayctl doctor'." };
}
