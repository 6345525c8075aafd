import type { PathKind } from '../../api/control.js';
import type { LoadResult, RoundTrips } from '../../load/sender.js';
import { orDash, printable } from './text.js';

/** What `overlayctl bench --json` prints. */
export interface BenchDocument extends LoadResult {
  readonly schema: 1;
  readonly peer: string;
  readonly nickname: string;
  readonly path: PathKind | null;
  readonly seconds: number;
  readonly mbps: number;
}

export function renderBench(document: BenchDocument): string[] {
  const { nickname, peer, path, seconds, mbps, idle, loaded, tcp, udp } = document;
  const name = `${printable(nickname)} (${printable(peer.slice(0, 8))})`;
  return [
    `${name}, path ${orDash(path)}, at most ${mbps} Mb/s for ${seconds} s of each load`,
    `round trip  ${trips(idle)}`,
    `under load  ${trips(loaded)}`,
    `TCP         ${figure(tcp.mbps)} Mb/s`,
    `UDP         ${figure(udp.deliveredMbps)} of ${figure(udp.offeredMbps)} Mb/s arrived, ` +
      `${figure(udp.lossPct)} % of ${udp.datagrams} datagrams lost, ${udp.reordered} out of order`,
  ];
}

function trips({ medianMs, p99Ms, lossPct }: RoundTrips): string {
  if (medianMs === null || p99Ms === null) return 'nothing came back';
  const lost = lossPct > 0 ? `, ${figure(lossPct)} % lost` : '';
  return `${figure(medianMs)} ms median, ${figure(p99Ms)} ms at the 99th percentile${lost}`;
}

/** Three digits, and all of a larger number. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
