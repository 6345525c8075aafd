import {
  SCHEMA_VERSION,
  type DnsControl,
  type IpamControl,
  type WorkloadControl,
} from '../api/control.js';
import type { Daemon } from './daemon.js';
import type { Exposures } from '../workload/exposures.js';
import type { Workloads } from '../workload/workloads.js';

/** Attachments as the API asks for them. */
export function workloadControl(workloads: Workloads, exposures: Exposures): WorkloadControl {
  return {
    attachments: () => ({ schema: SCHEMA_VERSION, attachments: workloads.list() }),
    attach: async (body) => ({ addresses: await workloads.attach(body) }),
    expose: async (body) => ({ addresses: await exposures.expose(body) }),
    hide: async (addresses) => ({ addresses: await exposures.hide(addresses) }),
    detach: async (target, addresses) => ({
      addresses: await workloads.detach(target, addresses),
    }),
  };
}

/** Address management as the API asks for it. */
export function ipamControl(addresses: Daemon['addresses']): IpamControl {
  return {
    ipam: () => addresses.document(),
    reserveAddress: (address) => addresses.reserve(address),
    releaseAddress: (address) => addresses.unreserve(address),
    addPool: (range) => addresses.addPool(range),
  };
}

/** Names as the API asks for them. */
export function dnsControl(names: DnsControl): DnsControl {
  return {
    dnsNames: () => names.dnsNames(),
    dnsLookup: (text) => names.dnsLookup(text),
    dnsAdd: (name, addresses) => names.dnsAdd(name, addresses),
    dnsRemove: (name, addresses) => names.dnsRemove(name, addresses),
  };
}
