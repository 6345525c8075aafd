import { OverlayError } from '../../../src/base/errors.js';
import type { Target } from '../../../src/model/target.js';
import type { GuardedPort } from '../../../src/netdev/guard-rules.js';
import type { SpoofCount } from '../../../src/netdev/port-guard.js';
import type { PortSpec } from '../../../src/netdev/attachment-host.js';
import type {
  FoundPort,
  NetworkView,
  OwnedAddresses,
  PortHost,
  TargetLocation,
} from '../../../src/workload/ports.js';
import type { WorkloadComponents } from '../../../src/workload/workloads.js';

/** Two with the same subnet as a pool of theirs, and one where any address will do. */
const NETWORKS: readonly NetworkView[] = [
  { id: 0, name: 'default', bridge: 'overlay0', mtuBytes: 1388, subnets: [] },
  { id: 7, name: 'blue', bridge: 'ovn-blue', mtuBytes: 1300, subnets: ['10.80.0.0/16'] },
  { id: 8, name: 'red', bridge: 'ovn-red', mtuBytes: 1388, subnets: ['10.80.0.0/16'] },
  { id: 9, name: 'free', bridge: 'ovn-free', mtuBytes: 1388, subnets: [] },
];

/** Namespaces and ports in memory, with a clock that a test turns by hand. */
export class FakePortHost implements PortHost {
  /** Name and inode. */
  readonly namespaces = new Map<string, number>();
  readonly ports = new Map<string, FoundPort & { readonly spec: PortSpec }>();
  readonly warnings: string[] = [];
  readonly announced: string[] = [];
  /** Ports with their rules. */
  guarded: readonly GuardedPort[] = [];
  guardFailure: Error | undefined;
  /** Networks beside the default one whose bridge is there. */
  readonly bridges = new Set<string>();
  bridgeFailure: Error | undefined;
  spoofs = new Map<string, SpoofCount>();
  /** What the source of addresses was told. */
  readonly owners = new Set<string>();
  readonly released: string[] = [];
  /** By network. */
  readonly kept = new Map<string, OwnedAddresses>();
  takenElsewhere = '';
  /** Thrown by the next change. */
  failure: Error | undefined;
  #alarm: (() => void) | undefined;

  readonly components: Omit<WorkloadComponents, 'store' | 'ownAddresses'> = {
    host: this,
    targets: { find: (text) => this.#find(text), locate: (target) => this.#locate(target) },
    addresses: (network) => ({
      give: (owner, subnet) => {
        this.owners.add(owner);
        const own = network === 'default' ? '10.32.0.9/12' : '10.80.0.9/16';
        return Promise.resolve(subnet === undefined ? own : subnet.replace('.0/', '.9/'));
      },
      claim: (owner, cidr) => {
        this.owners.add(owner);
        if (cidr !== this.takenElsewhere) return Promise.resolve();
        return Promise.reject(new Error(`${cidr} is taken`));
      },
      release: (_owner, cidr) =>
        this.released.push(network === 'default' ? cidr : `${cidr} of ${network}`),
      keep: (owned) => this.kept.set(network, owned),
    }),
    networks: {
      names: NETWORKS.map(({ name }) => name),
      find: (name) => {
        const found = NETWORKS.find((network) => network.name === name);
        if (found) return found;
        throw new OverlayError('OVL_NOT_FOUND', `There is no network '${name}'`, {
          value: name,
          cure: 'Create it first.',
        });
      },
      bridgeOf: (name) => (name === 'default' ? 'overlay0' : `ovn-${name}`),
      isThere: (name) => name === 'default' || this.bridges.has(name),
      bring: async (name) => {
        if (this.bridgeFailure) throw this.bridgeFailure;
        if (name !== 'default') this.bridges.add(name);
      },
      leave: async (name) => void this.bridges.delete(name),
    },
    nameServers: () => [],
    guard: {
      set: async (ports) => {
        if (this.guardFailure) throw this.guardFailure;
        this.guarded = ports;
      },
      check: async () => this.spoofs,
    },
    alarm: {
      set: (_delayMs, callback) => {
        this.#alarm = callback;
        return () => (this.#alarm = undefined);
      },
    },
    warn: (message) => this.warnings.push(message),
  };

  get isArmed(): boolean {
    return this.#alarm !== undefined;
  }

  ring(): void {
    const alarm = this.#alarm;
    this.#alarm = undefined;
    alarm?.();
  }

  addressesOf(port: string): readonly string[] {
    return this.ports.get(port)?.spec.inside?.addresses ?? [];
  }

  async observe(): Promise<ReadonlyMap<string, FoundPort>> {
    return new Map(this.ports);
  }

  async createPort(spec: PortSpec): Promise<void> {
    this.#mayFail();
    this.announced.push(`${spec.addresses.join()} to ${spec.bridge}`);
    this.ports.set(spec.port, { master: spec.bridge, mark: spec.mark, spec });
  }

  async changeInside(spec: PortSpec): Promise<void> {
    this.#mayFail();
    const port = this.ports.get(spec.port);
    if (port) this.ports.set(spec.port, { ...port, spec });
  }

  async rejoin(spec: PortSpec): Promise<void> {
    this.ports.set(spec.port, { master: spec.bridge, mark: spec.mark, spec });
  }

  announce(_mac: string, addresses: readonly string[], devices: readonly string[]): void {
    this.announced.push(`${addresses.join()} to ${devices.join()}`);
  }

  async removePort(port: string): Promise<void> {
    this.ports.delete(port);
  }

  hasPort(port: string): boolean {
    return this.ports.has(port);
  }

  names(): ReadonlySet<string> {
    return new Set(this.ports.keys());
  }

  #mayFail(): void {
    const failure = this.failure;
    this.failure = undefined;
    if (failure) throw failure;
  }

  #find(text: string): Target {
    if (text.startsWith('tap:')) return { kind: 'tap', name: text.slice(4) };
    if (this.namespaces.has(text)) return { kind: 'netns', name: text };
    throw new OverlayError('OVL_TARGET_UNKNOWN', `There is no target '${text}'`, {
      value: text,
      cure: 'Make it first.',
    });
  }

  #locate(target: Target): TargetLocation {
    if (target.kind === 'tap') return { state: 'present', path: '', inode: 0 };
    if (target.kind === 'pid') return { state: 'gone' };
    const inode = this.namespaces.get(target.kind === 'netns' ? target.name : target.path);
    return inode === undefined ? { state: 'absent' } : { state: 'present', path: '/x', inode };
  }
}
