import { SCHEMA_VERSION, type WorkloadControl } from '../api/control.js';
import type { OwnName } from '../dns/name-pages.js';
import { bareAddress } from '../workload/address-want.js';
import type { Attachment } from '../workload/model.js';
import type { Workloads } from '../workload/workloads.js';

/** Of the network `default` (docs/protocol.md §0). */
const DEFAULT_NETWORK_ID = 0;

/** The names that attachments have, by attachment. */
export function ownNames(attached: readonly Attachment[]): ReadonlyMap<string, OwnName> {
  const names = new Map<string, OwnName>();
  for (const { id, name, addresses } of attached) {
    if (name === undefined || addresses.length === 0) continue;
    names.set(id, { network: DEFAULT_NETWORK_ID, name, addresses: addresses.map(bareAddress) });
  }
  return names;
}

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
