import type {
  IpamControl,
  DaemonControl,
  DnsControl,
  ExposuresDocument,
  NetworkControl,
  NodeControl,
  StatusDocument,
  WorkloadControl,
} from '../api/control.js';
import { startApiServer } from '../api/server.js';
import { productVersion } from '../api/version.js';
import type { Log } from '../base/log.js';
import { createSystemClock } from '../base/system-clock.js';
import { createSystemRng } from '../base/system-rng.js';
import { DEFAULT_NETWORK, meshIdOf, networkIdOf } from '../crypto/mesh.js';
import { derivePrs } from '../crypto/password.js';
import { sodiumReady } from '../crypto/sodium.js';
import type { DaemonConfig } from '../daemon/config.js';

import { BridgeWatch } from '../daemon/bridge-watch.js';
import { createDaemon, type Daemon } from '../daemon/daemon.js';
import { hasLivedIn } from '../daemon/known-pool.js';
import { NameService } from '../daemon/name-service.js';
import { NetworkBridges } from '../daemon/network-bridges.js';
import { PoolWatch } from '../daemon/pool-watch.js';
import { reportSections, statusSections, type Parts } from '../daemon/status-sections.js';
import {
  dnsControl,
  ipamControl,
  networkControl,
  workloadControl,
} from '../daemon/workload-control.js';
import { createNodeTimers } from '../daemon/node-timers.js';
import type { HostInterface, HostWarning, NetworkWatcher } from '../daemon/ports.js';
import { ensureStateDir } from '../daemon/state-dir.js';
import { lockStateDir } from '../daemon/state-lock.js';
import { openStateStore } from '../daemon/state-store.js';
import { createNativeDataPlane, nativeOs } from '../dataplane/native.js';
import { DEFAULT_NETWORK_ID, type NetworkDefinition, type NetworkId } from '../model/network.js';
import { macOfPeer } from '../model/peer-id.js';
import { AskerGuard } from '../netdev/asker-guard.js';
import { AttachmentHost } from '../netdev/attachment-host.js';
import { BridgeExposureHost } from '../netdev/exposure-host.js';
import {
  createHostInterface,
  networkBridgeName,
  removeNetworkBridges,
  setNetworkForwarding,
  tapNameOf,
  type LinuxHostInterface,
} from '../netdev/host-interface.js';
import { overlapWarnings, refuseOverlap } from '../netdev/pool-overlap.js';
import { interfaceOf, underlayAddresses } from '../netdev/underlay-addresses.js';
import { hasInterface, interfaceNames } from '../netdev/interfaces.js';
import { NetworkIsolation } from '../netdev/network-isolation.js';
import { ResolvConfFiles } from '../netdev/resolv-conf-files.js';
import { startToolShell } from '../netdev/run.js';
import { guardTable } from '../netdev/guard-rules.js';
import { NftPortGuard } from '../netdev/port-guard.js';
import { createResolver } from '../netdev/resolver.js';
import { namespaceTargets } from '../netdev/targets.js';
import { bareAddress } from '../workload/address-want.js';
import { exposureOwner } from '../workload/derive.js';
import { Exposures } from '../workload/exposures.js';
import { EXPOSE_KEY, NetworkExposures } from '../workload/network-exposures.js';
import type { Attachment } from '../workload/model.js';
import { Workloads } from '../workload/workloads.js';
import { openReceiver } from '../load/receiver.js';
import type { AddressEntry } from '../wire/address-record.js';
import type { DebugSettings } from './debug-settings.js';

/*
 * The composition: every part made once, in the order in which each needs the one before, and undone in reverse.
 *
 *   addon -> state directory, lock -> identity, key from the password -> data plane, host interface -> daemon
 *     -> attachments -> API
 */

export interface ServiceInputs {
  readonly config: DaemonConfig;
  readonly password: string;
  readonly log: Log;
  readonly pid: number;
  readonly uid: number;
  readonly debug: DebugSettings;
  /** Conditions found before the start that belong into `status`. */
  readonly warnings: readonly HostWarning[];
  /** How to take away at once what must not stay behind a stop whose time is up. */
  onLastResort(takeAway: () => void): void;
  /** Something broke that the daemon cannot go on with. */
  onFatal(error: unknown): void;
  /** A clone was met and the identity replaced: the caller stops this service and starts another. */
  onCloned(): void;
  /** `overlayctl reset` has removed everything: the process ends well. */
  onReset(): void;
}

export interface Service {
  /** Tells systemd, where it listens. */
  notify(state: string): void;
  /** Undoes everything in reverse, each part even if another fails. Idempotent. @throws the first failure */
  stop(): Promise<void>;
}

/** @throws OverlayError; what was started by then is undone */
export async function startService(inputs: ServiceInputs): Promise<Service> {
  const undo = new UndoStack();
  try {
    const notify = await compose(inputs, undo);
    return { notify, stop: () => undo.run() };
  } catch (error) {
    // What failed first is what the operator must read; a failure while undoing follows from it.
    await undo.run().catch((second: unknown) => {
      inputs.log.warn({ err: second }, 'Could not undo all of the start');
    });
    throw error;
  }
}

async function compose(inputs: ServiceInputs, undo: UndoStack): Promise<(state: string) => void> {
  const { config, debug, log } = inputs;
  undo.push(startToolShell());
  const os = nativeOs();
  if (!debug.isDebugging) os.setDumpable(false);

  ensureStateDir(config.stateDir, inputs.uid);
  const lock = lockStateDir(config.stateDir, os, inputs.pid);
  undo.push(() => lock.release());

  await sodiumReady();
  const rng = createSystemRng();
  const meshId = meshIdOf(config.meshName);
  const passwordPrs = await derivePrs(inputs.password, meshId, os);
  const state = openStateStore(config.stateDir, { rng, log, ownUid: inputs.uid });
  undo.push(() => state.close());

  const bridge = createHostInterface({
    ifName: config.ifName,
    meshId,
    peerId: state.identity.id,
    mtuBytes: config.mtuBytes,
    pool: config.pool,
    isPoolKnown: hasLivedIn(state, config.pool),
  });
  undo.push(() => bridge.down());
  inputs.onLastResort(() => {
    bridge.downNow();
  });
  const dataplane = createNativeDataPlane({
    provider: debug.isLibsodiumOnly ? 'libsodium' : 'fastest',
    without: debug.without,
  });
  undo.push(() => dataplane.close());

  const clock = createSystemClock(() => os.bootTimeMs());
  const warn = (message: string, about: object = {}): void => {
    log.warn({ ...about, code: 'OVL_IFACE_CONFIG' }, message);
  };
  const timers = createNodeTimers();
  const files = new ResolvConfFiles(`${state.identity.id.slice(0, 8)}-${config.ifName}`, warn);
  const askers = new AskerGuard(guardTable(config.ifName));
  const names = new NameService(
    { clock, rng, timers, os, state, files, warn, askers },
    {
      peer: state.identity.id,
      domain: config.dnsDomain,
      bridge: config.ifName,
      pool: config.pool,
      idOf: (network) => networkIdOf(meshId, network),
      bridgeOf: (id) => bridgeOf(id),
      find: (network) => daemon.networks.find(network),
      nameOf: (network) => daemon.networks.byId(network)?.name ?? String(network),
      isServing: config.dns,
      resolvConf: '/etc/resolv.conf',
    },
  );
  const warnings = [...inputs.warnings];
  const hostNetwork: NetworkWatcher = {
    watch: (ignored, onChange) => os.watchNetwork(ignored, onChange),
  };
  const daemon: Daemon = createDaemon(
    {
      dataplane,
      host: withWarnings(bridge, warnings),
      state,
      clock,
      timers,
      rng,
      resolver: createResolver(),
      network: hostNetwork,
      localAddresses: () =>
        underlayAddresses([config.ifName, tapNameOf(config.ifName), ...networks.bridges]),
      log,
      receiveLoad: (options) => openReceiver({ clock, timers }, options),
      rooms: [names.names],
      admitPool: (range, pools) =>
        refuseOverlap(
          range,
          pools,
          (free) => `Choose a range that no host has a route to; here ${free} is free.`,
        ),
      onBridgeUp: async () => {
        warnings.push(...(await names.start()));
        await removeNetworkBridges(config.ifName, bridgesInUse(), state.identity.id);
        await workloads.start();
        await exposures.start();
        names.writeFiles();
      },
    },
    {
      meshName: config.meshName,
      nickname: config.nickname,
      passwordPrs,
      port: config.port,
      peers: config.peers,
      addressMode: config.addressMode,
      pool: config.pool,
      defaultSubnet: config.defaultSubnet,
      leaseMs: config.leaseMs === 'never' ? Number.POSITIVE_INFINITY : config.leaseMs,
      ifName: config.ifName,
      mtuBytes: config.mtuBytes,
      bind: config.bind,
      advertise: config.advertise,
      suites: config.suites,
      discovery: config.discovery,
      relay: config.relay,
      allowBench: config.allowBench,
      version: productVersion(),
      ...(debug.rekeyAfterMs === undefined ? {} : { rekeyAfterMs: debug.rekeyAfterMs }),
      ...(debug.removalSilenceMs !== undefined && { removalSilenceMs: debug.removalSilenceMs }),
    },
  );
  daemon.networks.onGone((id) => {
    names.forgetNetwork(id);
  });
  const sendFrame = (device: string, frame: Uint8Array): void => {
    os.sendFrame(device, frame);
  };
  const bridgeOf = (id: NetworkId): string =>
    id === DEFAULT_NETWORK_ID ? config.ifName : networkBridgeName(config.ifName, id);
  const makeNetworkHost = (
    { id, mtuBytes }: NetworkDefinition,
    ifName: string,
  ): LinuxHostInterface =>
    createHostInterface({
      ...{ ifName, meshId, mtuBytes, peerId: state.identity.id, pool: config.pool },
      network: { ifName: config.ifName, id },
    });
  const onRestored = (name: string): void => {
    daemon.tell({
      level: 'warn',
      code: 'bridge-restored',
      message: `The interface ${name} was gone: it was made again, with all that was on it`,
      cure: 'Find out who removed it: ip monitor link, other network managers.',
    });
  };
  const isolation = new NetworkIsolation(config.ifName);
  const exposedBridges = new Set<string>();
  const isolate = (bridges: readonly string[]): Promise<void> =>
    isolation
      .set(bridges.map((name) => ({ bridge: name, isExposed: exposedBridges.has(name) })))
      .catch((err: unknown) => {
        warn('Networks of this host are not kept apart by its firewall', { err });
      });
  const networks = new NetworkBridges({
    names: () => daemon.networks.all.map(({ name }) => name),
    find: (name) => daemon.networks.find(name),
    idOf: (name) => networkIdOf(meshId, name),
    bridgeOf,
    poolsOf: (id) => daemon.poolsOf(id),
    makeHost: makeNetworkHost,
    open: (network, bridgeName) => {
      daemon.openNetwork(network, tapNameOf(bridgeName));
    },
    reopen: (network, bridgeName) => {
      daemon.reopenNetwork(network, tapNameOf(bridgeName));
    },
    close: (id) => {
      daemon.closeNetwork(id);
    },
    openNames: async ({ id, subnets }, bridgeName) => {
      for (const { message } of await names.open(id, bridgeName, subnets)) warn(message);
    },
    closeNames: (id) => names.close(id),
    ...{ isolate, hasInterface, onRestored },
    isHeld: (name) => workloads.isUsing(name) || exposures.used.includes(name),
    mac: macOfPeer(state.identity.id),
  });
  /** Bridges that stored attachments and exposures are on. */
  const bridgesInUse = (): ReadonlySet<string> => {
    const attached = workloads.list().map(({ network }) => network);
    return new Set([...attached, ...exposures.used].map((name) => networks.bridgeOf(name)));
  };
  /** Attachments by network, and what is exposed. */
  const seen = new Set<NetworkId>([DEFAULT_NETWORK_ID]);
  const exposedPorts = new Map<NetworkId, AddressEntry>();
  let attachedNow: readonly Attachment[] = [];
  /** Made once of each, so that whoever is told of all of them sees which are new. */
  const ports = new WeakMap<Attachment, AddressEntry>();
  const portOf = (attachment: Attachment): AddressEntry | undefined => {
    const { mac, addresses } = attachment;
    if (mac === undefined) return undefined;
    const port = ports.get(attachment) ?? { mac, addresses };
    ports.set(attachment, port);
    return port;
  };
  const sayPorts = (attached: readonly Attachment[]): void => {
    attachedNow = attached;
    const idOf = ({ network }: Attachment): NetworkId => networkIdOf(meshId, network);
    for (const id of [...attached.map(idOf), ...exposedPorts.keys()]) seen.add(id);
    for (const id of seen) {
      const on = attached.filter((attachment) => idOf(attachment) === id);
      const attachedThere = on.flatMap((attachment) => portOf(attachment) ?? []);
      const exposed = exposedPorts.get(id);
      daemon.setPorts(id, exposed ? [...attachedThere, exposed] : attachedThere);
    }
  };
  const guard = new NftPortGuard(config.ifName);
  const workloads: Workloads = new Workloads(
    {
      host: new AttachmentHost(sendFrame),
      guard: {
        set: (ports) => guard.set(ports),
        check: async () => {
          await isolation.check().catch(() => undefined);
          await askers.check().catch(() => undefined);
          return guard.check();
        },
      },
      targets: namespaceTargets,
      store: state,
      alarm: timers,
      networks,
      nameServers: (network) => names.serversOf(network),
      addresses: (network) => daemon.addressesOf(network),
      ownAddresses: (network) =>
        network === DEFAULT_NETWORK
          ? [...daemon.control.status().self.addresses, ...exposures.on(network).addresses]
          : exposures.on(network).addresses,
      otherOwners: (network) =>
        new Map([[exposureOwner(config.ifName, network), exposures.addressesOn(network)]]),
      onChange: (attached) => {
        names.setAttached(attached);
        sayPorts(attached);
      },
      onSpoof: (target, { mac, address }) => {
        daemon.tell({
          level: 'warn',
          code: 'frames-spoofed',
          message: `${target} sends as others: ${mac} frames under another MAC and ${address} under another address were dropped since it was attached`,
          cure: 'Find out what runs there; attach it with none if it may use any address.',
        });
      },
      warn,
    },
    {
      ifName: config.ifName,
      peer: state.identity.id,
      domain: config.dnsDomain,
    },
  );
  const makeExposures = (network: string): Exposures => {
    const bridgeName = networks.bridgeOf(network);
    const id = networkIdOf(meshId, network);
    const peer = state.identity.id;
    const isRouter = (isOn: boolean): void => {
      if (id === DEFAULT_NETWORK_ID) return;
      setNetworkForwarding(bridgeName, isOn);
      if (isOn) exposedBridges.add(bridgeName);
      else exposedBridges.delete(bridgeName);
      void isolate(networks.bridges);
    };
    // A second interface with an address and subnet of the underlay would draw the underlay's traffic to itself.
    const ownInterfaceOf = (address: string): string | undefined => {
      const ours = [config.ifName, bridgeName, ...networks.bridges];
      const name = interfaceOf(address, (one) => ours.includes(one));
      return name === undefined ? undefined : `this host on ${name}`;
    };
    return new Exposures(
      {
        host: new BridgeExposureHost(bridgeName, peer, sendFrame, isRouter),
        store: state,
        alarm: timers,
        addresses: () => daemon.addressesOf(network),
        holderOf: (address) =>
          id === DEFAULT_NETWORK_ID &&
          daemon.control.status().self.addresses.some((cidr) => bareAddress(cidr) === address)
            ? 'this node'
            : (workloads.holderOf(network, address) ?? ownInterfaceOf(address)),
        onChange: (exposure) => {
          names.setExposed(exposure, network);
          exposedPorts.set(id, { mac: macOfPeer(peer), addresses: exposure.addresses });
          sayPorts(attachedNow);
        },
        warn,
      },
      {
        domain: config.dnsDomain,
        owner: exposureOwner(config.ifName, network),
        key: `${EXPOSE_KEY}${network}`,
      },
    );
  };
  const exposures: NetworkExposures = new NetworkExposures({
    ...{ networks, store: state, warn },
    make: makeExposures,
  });
  /** Of the default network, not made again yet. */
  const lost = new Set<string>();
  const restoreDefault = async (): Promise<void> => {
    const tap = tapNameOf(config.ifName);
    const there = interfaceNames();
    for (const device of [config.ifName, tap]) if (!there.has(device)) lost.add(device);
    if (!there.has(tap)) dataplane.reopenTap();
    await bridge.up(macOfPeer(state.identity.id));
    await bridge.setAddresses(daemon.control.status().self.addresses);
    if (lost.has(config.ifName)) await names.restart();
  };
  const watch = new BridgeWatch({
    timers,
    network: hostNetwork,
    interfaces: interfaceNames,
    bridges: () => [
      {
        name: config.ifName,
        devices: [config.ifName, tapNameOf(config.ifName)],
        restore: restoreDefault,
      },
      ...networks.watched,
    ],
    rejoin: async () => {
      await workloads.rejoin();
      await exposures.restore();
    },
    follow: () => names.follow(),
    // Of the others network-bridges.ts tells, whoever asked for them first.
    onRestored: (name) => {
      if (name !== config.ifName) return;
      onRestored([...lost].join(' and ') || name);
      lost.clear();
    },
    onFailure: (name, err) => {
      warn(`The bridge ${name} is gone and cannot be made again`, { err });
    },
  });
  const poolWatch = new PoolWatch({
    ...{ timers, network: hostNetwork, overlaps: overlapWarnings },
    pools: () => {
      // What is said since the start need not be said again.
      const isSaid = daemon.control.status().warnings.some(({ code }) => code === 'pool-overlap');
      return daemon.poolsOf(DEFAULT_NETWORK_ID).filter((range) => range !== config.pool || !isSaid);
    },
    onWarning: ({ code, message, cure }) => {
      daemon.tell({ level: 'warn', code: 'host-warning', message: `${message} (${code})`, cure });
    },
  });
  daemon.nameUsersBy((network, address) => {
    const { addresses } = exposures.on(network);
    const isExposed = addresses.some((cidr) => cidr.split('/')[0] === address);
    return workloads.holderOf(network, address) ?? (isExposed ? 'this host (exposed)' : undefined);
  });
  daemon.onFatal((error) => {
    inputs.onFatal(error);
  });
  daemon.onCloned(() => {
    inputs.onCloned();
  });
  undo.push(() => daemon.stop());
  undo.push(() => names.stop());
  undo.push(() => networks.stop());
  // Before programs are run: a mesh that stops as a whole would keep each of its nodes busy with the others' goodbyes.
  undo.push(() => {
    daemon.leave();
  });
  undo.push(() => workloads.stop());
  undo.push(() => exposures.stop());
  undo.push(() => watch.stop());
  undo.push(() => poolWatch.stop());
  await daemon.start();
  watch.start();
  poolWatch.start();

  const control = wholeControl(
    daemon.control,
    {
      ...workloadControl(workloads, exposures, (network) => networks.bridgeOf(network)),
      ...dnsControl(names),
      ...ipamControl(daemon),
      ...networkControl(
        daemon,
        workloads,
        (network) => (networks.isUp(network) ? bridgeOf(network.id) : undefined),
        exposures,
      ),
    },
    () => {
      const { addresses, masquerade, name = null } = exposures.on(DEFAULT_NETWORK);
      return { addresses, masquerade, name };
    },
    () => poolWatch.warnings,
    async () => {
      await watch.stop();
      await poolWatch.stop();
      await exposures.stop();
      await workloads.stop();
      await names.stop();
      names.removeFiles();
      await networks.stop();
      await daemon.control.reset();
      await bridge.removeEverything();
      await removeNetworkBridges(config.ifName, new Set(), state.identity.id);
      await guard.set([]);
      await isolation.set([]);
      await askers.set([]);
      await exposures.removeRules();
      inputs.onReset();
    },
  );
  const api = await startApiServer(config.socketPath, control, log);
  undo.push(() => {
    daemon.sayStopping();
    return api.close();
  });
  return (text) => void os.sdNotify(text);
}

/** Adds what bin knows to what the host is asked for. */
function withWarnings(host: HostInterface, more: readonly HostWarning[]): HostInterface {
  return {
    preflight: () => host.preflight(),
    up: (mac) => host.up(mac),
    setAddresses: (cidrs) => host.setAddresses(cidrs),
    probeAddress: (address) => host.probeAddress(address),
    warnings: async () => [...more, ...(await host.warnings())],
    down: () => host.down(),
  };
}

/** Reset reaches further than the daemon: it also takes the bridge away under attachments, and ends the process. */
function wholeControl(
  node: NodeControl,
  workloads: WorkloadControl & DnsControl & IpamControl & NetworkControl,
  exposure: () => ExposuresDocument,
  warnings: () => readonly HostWarning[],
  reset: () => Promise<void>,
): DaemonControl {
  const parts = (): Parts => ({
    ipam: workloads.ipam(),
    dns: workloads.dnsNames(),
    exposures: exposure(),
    attachments: workloads.attachments().attachments,
    networks: workloads.networks().networks,
  });
  const whole = (status: StatusDocument): StatusDocument => ({
    ...status,
    ...statusSections(parts()),
    warnings: [...status.warnings, ...warnings()],
  });
  return {
    status: () => whole(node.status()),
    peers: () => node.peers(),
    routes: () => node.routes(),
    paths: (peer) => node.paths(peer),
    report: () => {
      const { status, ...rest } = node.report();
      return { ...rest, status: whole(status), ...reportSections(parts()) };
    },
    connect: (contacts) => node.connect(contacts),
    forget: (contacts) => node.forget(contacts),
    removePeer: (peer, isForced) => node.removePeer(peer, isForced),
    bench: (peer, wish) => node.bench(peer, wish),
    events: (afterSeq) => node.events(afterSeq),
    onEvent: (callback) => node.onEvent(callback),
    ...workloads,
    reset,
  };
}

class UndoStack {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  push(step: () => unknown): void {
    this.#steps.push(step);
  }

  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
