import { join } from 'node:path';
import { must } from './exec.js';
import type { Host, Topology } from './topology.js';

/** From dist/test/netns/lib. */
const SOURCE = new URL('../../../../test/netns/lib/flood.cc', import.meta.url).pathname;

export interface FloodOrder {
  /** `address:port` */
  readonly to: string;
  /** `address:port`; address 0.0.0.0: another invented one each time. */
  readonly from: string;
  readonly count: number;
  readonly perSecond: number;
  readonly template: Uint8Array;
  /** Bytes that are random each time: offset and size. */
  readonly random?: readonly (readonly [number, number])[];
  /** Offset of a u64 that grows by one, from what the template has there. */
  readonly counterAt?: number;
}

/** A sender fast enough for a flood, which Node is not. */
export class Flood {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  static async build(topology: Topology): Promise<Flood> {
    const program = join(topology.directory, 'flood');
    await must(['g++', '-std=c++20', '-O2', '-Wall', '-Wextra', '-o', program, SOURCE], {
      timeoutMs: 120_000,
    });
    return new Flood(program);
  }

  /** Resolves when all are sent; gives how many the kernel took. */
  async run(host: Host, order: FloodOrder): Promise<number> {
    const [address, port] = order.to.split(':');
    const said = await host.must(
      [
        ...[this.#program, address ?? '', port ?? ''],
        ...[String(order.count), String(order.perSecond), order.from],
        Buffer.from(order.template).toString('hex'),
        ...(order.random ?? []).map(([offset, size]) => `r${String(offset)}:${String(size)}`),
        ...(order.counterAt === undefined ? [] : [`c${String(order.counterAt)}`]),
      ],
      { timeoutMs: 180_000 },
    );
    return Number(said);
  }
}
