import { SCHEMA_VERSION, type WorkloadControl } from '../api/control.js';
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
