import type { IpamDocument } from '../../api/control.js';
import { renderTable } from './table.js';
import { printable } from './text.js';

export function renderIpam({
  pools,
  used,
  reserved,
  clashes,
}: Omit<IpamDocument, 'schema'>): string[] {
  if (pools.length === 0) return ['There is no address pool yet.'];
  const isOne = pools.every(({ network }) => network === pools[0]?.network);
  const rows = pools.flatMap(({ range, network, holders }) =>
    holders.map(({ nickname, self, addresses, blocks, gone, waitingFor }) => [
      ...(isOne ? [] : [network]),
      range,
      self ? `${nickname} (this one)` : nickname,
      String(addresses),
      String(blocks),
      gone ? `gone, waiting for ${waitingFor.join(', ') || 'its heir'}` : '',
    ]),
  );
  const columns = [
    ...(isOne ? [] : [{ title: 'NETWORK' }]),
    { title: 'POOL' },
    { title: 'HOLDER' },
    { title: 'ADDRESSES', align: 'right' as const },
    { title: 'BLOCKS', align: 'right' as const },
    { title: 'STATE' },
  ];
  const lost = used.filter(({ active }) => !active).map(({ address }) => address);
  return [
    ...renderTable(columns, rows),
    '',
    `${used.length} in use on this host, ${reserved.length} reserved${reserved.length === 0 ? '' : `: ${reserved.map(printable).join(' ')}`}`,
    ...(lost.length === 0 ? [] : [`Not ours any more: ${lost.map(printable).join(' ')}`]),
    ...clashes.map(({ address, holder, loser }) =>
      printable(`Used twice: ${address}, by ${holder}, whose it is, and by ${loser}`),
    ),
  ];
}

/** One line a pool: what there is, not who holds it. */
export function renderPools({ pools }: Pick<IpamDocument, 'pools'>): string[] {
  if (pools.length === 0) return ['There is no address pool yet.'];
  const rows = pools.map(({ range, network, holders }) => [
    printable(range),
    printable(network),
    String(holders.length),
  ]);
  return renderTable(
    [{ title: 'POOL' }, { title: 'NETWORK' }, { title: 'HOLDERS', align: 'right' }],
    rows,
  );
}
