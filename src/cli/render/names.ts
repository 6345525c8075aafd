import type { DnsNamesDocument } from '../../api/control.js';
import { renderTable } from './table.js';

export function renderNames({ names }: Pick<DnsNamesDocument, 'names'>): string[] {
  if (names.length === 0) return ['There are no names yet.'];
  return renderTable(
    ['NAME', 'NETWORK', 'ADDRESSES', 'FROM'].map((title) => ({ title })),
    names.map(({ name, network, addresses, peers }) => [
      name,
      network,
      addresses.join(' '),
      peers.map((id) => id.slice(0, 8)).join(' '),
    ]),
  );
}
