import type { z } from 'zod';
import type { reportSchema } from '../../api/schemas.js';
import { renderAttachments } from './attachments.js';
import { renderEvent } from './events.js';
import { renderIpam } from './ipam.js';
import { renderNames } from './names.js';
import { renderNetworks } from './networks.js';
import { renderPaths, renderPeers, renderRoutes } from './peers.js';
import { renderStatus } from './status.js';
import { renderFields, renderTable } from './table.js';

type Report = z.infer<typeof reportSchema>;

export function renderReport(report: Report): string[] {
  const { dataplane } = report;
  return [
    `Report of ${report.at}`,
    '',
    ...renderStatus(report.status),
    ...section('Peers', renderPeers(report)),
    ...section('Routes', renderRoutes(report)),
    ...report.paths.flatMap((paths) => ['', ...renderPaths(paths)]),
    ...(report.attachments
      ? section('Targets', renderAttachments({ attachments: report.attachments }))
      : []),
    ...(report.networks ? section('Networks', renderNetworks({ networks: report.networks })) : []),
    ...(report.ipam ? section('Addresses', renderIpam(report.ipam)) : []),
    ...(report.dns ? section('Names', renderNames(report.dns)) : []),
    ...section(
      'Data plane',
      renderFields([
        ['port', String(dataplane.port)],
        ['bound to', dataplane.localAddresses.join(', ') || '-'],
        [
          'ciphers',
          dataplane.suites
            .map(
              (suite) =>
                `${suite.name} by ${suite.provider} (${Math.round(suite.nsPerPacket)} ns a packet)`,
            )
            .join(', ') || '-',
        ],
        ['offloads', dataplane.offloads.join(', ') || '-'],
        ['queue pairs', String(dataplane.queuePairs)],
      ]),
    ),
    ...section('Dropped, by reason', renderNumbers(report.drops)),
    ...section('Counters', renderNumbers(report.counters)),
    ...section(
      'Learned and declared addresses (FDB)',
      renderTable(
        [
          { title: 'NETWORK', align: 'right' },
          { title: 'MAC' },
          { title: 'PEER' },
          { title: 'KIND' },
          { title: 'AGE', align: 'right' },
        ],
        report.fdb.map((entry) => [
          String(entry.network),
          entry.mac,
          entry.peer.slice(0, 8),
          entry.declared ? 'declared' : 'learned',
          entry.declared ? '-' : `${entry.ageSeconds} s`,
        ]),
      ),
    ),
    ...section('Events', report.events.flatMap(renderEvent)),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return ['', `${title}:`, ...lines];
}

/** Those that are not zero; a report is read for what happened. */
function renderNumbers(numbers: Readonly<Record<string, number>>): string[] {
  const rows = Object.entries(numbers).filter(([, value]) => value !== 0);
  if (rows.length === 0) return ['  none'];
  return renderFields(rows.map(([name, value]) => [name, String(value)]));
}
