import type {
  PathsDocument,
  PeerDocument,
  PeersDocument,
  RoutesDocument,
} from '../../api/control.js';
import type { Column } from './table.js';
import { renderFitting, renderTable } from './table.js';
import { formatBytes, formatMs, formatPercent, orDash, printable } from './text.js';

const PEER_COLUMNS: readonly Column[] = [
  { title: 'NAME' },
  { title: 'ID' },
  { title: 'STATE' },
  { title: 'PATH' },
  { title: 'ENDPOINT', yields: 1 },
  { title: 'ADDRESS' },
  { title: 'CIPHER', yields: 5 },
  { title: 'RTT', align: 'right' },
  { title: 'LOSS', align: 'right' },
  { title: 'PMTU', align: 'right', yields: 2 },
  { title: 'SENT', align: 'right', yields: 3 },
  { title: 'RECEIVED', align: 'right', yields: 4 },
  { title: 'WHY', isProse: true },
];

/** @param width of the terminal, if it is one */
export function renderPeers({ peers }: Pick<PeersDocument, 'peers'>, width?: number): string[] {
  return renderFitting(
    PEER_COLUMNS,
    peers.map((peer) => [
      orDash(peer.nickname),
      peer.id.slice(0, 8),
      peer.self ? 'this node' : peer.state,
      orDash(peer.path),
      orDash(peer.endpoint),
      renderAddress(peer),
      orDash(peer.cipher),
      formatMs(peer.rttMs),
      formatPercent(peer.lossPct),
      orDash(peer.pmtu),
      formatBytes(peer.txBytes),
      formatBytes(peer.rxBytes),
      peer.reason ?? '',
    ]),
    width,
  );
}

/** The first one; how many more there are says where to look (`--json`). */
function renderAddress({ addresses }: PeerDocument): string {
  const more = addresses.length > 1 ? ` +${addresses.length - 1}` : '';
  return `${orDash(addresses[0] ?? null)}${more}`;
}

export function renderRoutes({ routes }: Pick<RoutesDocument, 'routes'>): string[] {
  if (routes.length === 0) return ['No other node is reachable.'];
  return renderTable(
    [
      { title: 'NAME' },
      { title: 'ID' },
      { title: 'PATH' },
      { title: 'VIA' },
      { title: 'RTT', align: 'right' },
      { title: 'LOSS', align: 'right' },
      { title: 'MTU', align: 'right' },
      { title: 'COST', align: 'right' },
    ],
    routes.map((route) => [
      orDash(route.nickname),
      route.peer.slice(0, 8),
      route.path,
      orDash(route.via.map((id) => id.slice(0, 8)).join(' ')),
      formatMs(route.rttMs),
      formatPercent(route.lossPct),
      String(route.mtu),
      route.cost === null ? '-' : route.cost.toFixed(2),
    ]),
  );
}

/** @param width of the terminal, if it is one */
export function renderPaths(paths: PathsDocument, width?: number): string[] {
  const { candidates, active, lastSwitch } = paths;
  const head = `Paths to ${printable(orDash(paths.nickname))} (${printable(paths.peer)}); * is in use:`;
  const table = renderFitting(
    [
      { title: '' },
      { title: 'KIND' },
      { title: 'ENDPOINT' },
      { title: 'STATE' },
      { title: 'RTT', align: 'right' },
      { title: 'LOSS', align: 'right' },
      { title: 'MTU', align: 'right' },
      { title: 'COST', align: 'right' },
      { title: 'MADE OF', yields: 1 },
    ],
    candidates.map((candidate, index) => [
      index === active ? '*' : '',
      candidate.kind,
      candidate.endpoint,
      candidate.state,
      formatMs(candidate.rttMs),
      formatPercent(candidate.lossPct),
      orDash(candidate.mtu),
      candidate.cost === null ? '-' : candidate.cost.toFixed(2),
      Object.entries(candidate.terms)
        .map(([name, value]) => `${name}=${Number(value.toFixed(3))}`)
        .join(' '),
    ]),
    width,
  );
  const change =
    lastSwitch === null
      ? 'The path has not changed since the link came up.'
      : `Last change at ${lastSwitch.at}: from ${lastSwitch.from ?? 'none'} to ${lastSwitch.to ?? 'none'} (${lastSwitch.reason}).`;
  const list = candidates.length === 0 ? ['No way to this peer is known.'] : [head, ...table];
  return [...list, '', printable(change)];
}
