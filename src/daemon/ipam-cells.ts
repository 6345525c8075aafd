import { DEFAULT_NETWORK_ID, type NetworkId } from '../model/network.js';

/*
 * Cells of address management in the state store (ipam/estate.ts), by network: those of the default one as they are,
 * those of another behind `n<network, 6 hex>/`.
 */

const OF_NETWORK = /^n([0-9a-f]{6})\//;

export function ipamCellKey(key: string, network: NetworkId): string {
  return `${prefixOf(network)}${key}`;
}

/** Those of one network, as they were written. */
export function* ipamCellsOf(
  cells: Iterable<readonly [string, string]>,
  network: NetworkId,
): Iterable<readonly [string, string]> {
  const prefix = prefixOf(network);
  for (const [key, value] of cells) {
    const found = OF_NETWORK.exec(key)?.[0] ?? '';
    if (found === prefix) yield [key.slice(prefix.length), value];
  }
}

function prefixOf(network: NetworkId): string {
  return network === DEFAULT_NETWORK_ID ? '' : `n${network.toString(16).padStart(6, '0')}/`;
}
