import { SCHEMA_VERSION, type DnsControl, type WorkloadControl } from '../api/control.js';
import type { Workloads } from '../workload/workloads.js';

/** Attachments as the API asks for them. */
export function workloadControl(workloads: Workloads): WorkloadControl {
  return {
    attachments: () => ({ schema: SCHEMA_VERSION, attachments: workloads.list() }),
    attach: async (body) => ({ addresses: await workloads.attach(body) }),
    detach: async (target, addresses) => ({
      addresses: await workloads.detach(target, addresses),
    }),
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
