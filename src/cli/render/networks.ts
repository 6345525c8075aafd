import type { NetworksDocument } from '../../api/control.js';
import { renderTable } from './table.js';
import { orDash } from './text.js';

const MAX_NAMED = 4;

export function renderNetworks({ networks }: Pick<NetworksDocument, 'networks'>): string[] {
  return renderTable(
    [
      { title: 'NETWORK' },
      { title: 'SUBNETS' },
      { title: 'MTU', align: 'right' },
      { title: 'INTERFACE' },
      { title: 'HERE' },
      { title: 'ELSEWHERE' },
    ],
    networks.map(({ name, subnets, mtu, ifname, targets, peers }) => [
      name,
      subnets.join(' ') || 'any',
      String(mtu),
      orDash(ifname),
      orDash(few(targets)),
      orDash(few(peers.map(({ nickname }) => nickname))),
    ]),
  );
}

/** The first ones; how many more there are says where to look (`--json`). */
function few(texts: readonly string[]): string {
  const more = texts.length > MAX_NAMED ? ` +${texts.length - MAX_NAMED}` : '';
  return `${texts.slice(0, MAX_NAMED).join(' ')}${more}`;
}
