import assert from 'node:assert/strict';

import type { ExposureHost } from '../../../src/workload/ports.js';
import { Exposures, type Exposure } from '../../../src/workload/exposures.js';

/** A bridge and a firewall in memory. */
class FakeHost implements ExposureHost {
  readonly addresses = new Set<string>(['10.47.0.9/12']);
  isMasqueraded = false;
  /** Thrown by the next change of addresses. */
  failure: Error | undefined;
  noFirewall = false;
  /** Called before each step: a crash may come there. */
  onStep: () => void = () => undefined;

  async setAddresses(wanted: readonly string[], gone: readonly string[]): Promise<void> {
    this.onStep();
    for (const cidr of gone) this.addresses.delete(cidr);
    for (const cidr of wanted) this.addresses.add(cidr);
    this.onStep();
    const failure = this.failure;
    this.failure = undefined;
    if (failure) throw failure;
  }

  async setMasquerade(isOn: boolean): Promise<void> {
    if (this.noFirewall && isOn) throw new Error('nft is not there');
    this.isMasqueraded = isOn;
  }

  async checkMasquerade(): Promise<void> {
    this.isMasqueraded = true;
  }

  get exposed(): string[] {
    return [...this.addresses].filter((cidr) => cidr !== '10.47.0.9/12');
  }
}

describe('exposed addresses', () => {
  let host: FakeHost;
  let cells: Map<string, string>;
  let isDiskFull: boolean;
  let told: Exposure | undefined;
  let warnings: string[];
  let ring: (() => void) | undefined;
  /** What the mesh holds for the host. */
  let held: Set<string>;

  beforeEach(() => {
    host = new FakeHost();
    cells = new Map();
    isDiskFull = false;
    told = undefined;
    warnings = [];
    ring = undefined;
    held = new Set();
  });

  function make(): Exposures {
    return new Exposures(
      {
        host,
        store: {
          declared: () => [...cells].map(([key, text]) => [key, JSON.parse(text) as unknown]),
          writeDeclared: (key, value) => {
            if (isDiskFull) throw new Error('disk full');
            if (value) cells.set(key, JSON.stringify(value));
            else cells.delete(key);
          },
        },
        alarm: {
          set: (_delayMs, callback) => {
            ring = callback;
            return () => (ring = undefined);
          },
        },
        addresses: () => ({
          give: async (owner, subnet) => {
            const cidr = subnet?.replace('.0/', '.7/') ?? '10.32.0.7/12';
            held.add(`${owner} ${cidr}`);
            return cidr;
          },
          claim: async (owner, cidr) => {
            if (cidr === '10.32.0.8/12') throw new Error('in use on bob');
            held.add(`${owner} ${cidr}`);
          },
          release: (owner, cidr) => held.delete(`${owner} ${cidr}`),
        }),
        holderOf: (address) => (address === '10.47.0.9' ? 'this node' : undefined),
        onChange: (exposure) => (told = exposure),
        warn: (message) => warnings.push(message),
      },
      { domain: 'overlay.internal', owner: 'host' },
    );
  }

  const expose = (exposures: Exposures, ...addresses: string[]) => exposures.expose({ addresses });

  it('are there, masqueraded, the same after asking twice, and go one by one', async () => {
    const exposures = make();
    assert.deepEqual(await expose(exposures, 'ip:192.168.0.1/24'), ['192.168.0.1/24']);
    assert.deepEqual(await expose(exposures, '192.168.0.1/24'), ['192.168.0.1/24']);
    await exposures.expose({ addresses: ['fd00:9::1/64'], name: 'gw.overlay.internal' });
    assert.deepEqual(host.exposed, ['192.168.0.1/24', 'fd00:9::1/64']);
    assert.deepEqual([host.isMasqueraded, told?.name], [true, 'gw']);
    assert.deepEqual(await exposures.hide(['192.168.0.1/24', '10.0.0.1/24']), ['192.168.0.1/24']);
    assert.deepEqual([host.exposed, host.isMasqueraded], [['fd00:9::1/64'], true]);
    assert.deepEqual(await exposures.hide([]), ['fd00:9::1/64']);
    assert.deepEqual(await exposures.hide([]), []);
    assert.deepEqual([host.exposed, host.isMasqueraded, cells.size], [[], false, 0]);
    assert.deepEqual([...host.addresses], ['10.47.0.9/12']);
    assert.equal(told?.name, undefined);
  });

  it('keep their addresses where that was asked for, and say nothing without nftables', async () => {
    const exposures = make();
    await exposures.expose({ addresses: ['192.168.0.1/24'], masquerade: false });
    assert.equal(host.isMasqueraded, false);
    await expose(exposures, '192.168.1.1/24');
    assert.equal(host.isMasqueraded, false);
    await exposures.expose({ addresses: ['192.168.1.1/24'], masquerade: true });
    assert.equal(host.isMasqueraded, true);
  });

  it('are there without nftables, and that is said once', async () => {
    const exposures = make();
    host.noFirewall = true;
    await expose(exposures, '192.168.0.1/24');
    await expose(exposures, '192.168.1.1/24');
    assert.equal(host.exposed.length, 2);
    assert.deepEqual(warnings, ['Exposed addresses are not masqueraded: nft is not there']);
  });

  it('are there again after a restart, and when somebody removed them', async () => {
    await make().expose({ addresses: ['192.168.0.1/24'], name: 'gw' });
    host = new FakeHost();
    const next = make();
    await next.start();
    assert.deepEqual(
      [host.exposed, host.isMasqueraded, told?.name],
      [['192.168.0.1/24'], true, 'gw'],
    );
    host.addresses.clear();
    host.isMasqueraded = false;
    ring?.();
    await next.hide(['10.0.0.1/24']);
    assert.deepEqual([host.exposed, host.isMasqueraded], [['192.168.0.1/24'], true]);
    await next.stop();
    assert.equal(ring, undefined);
  });

  it('are written down whenever they are set, so that a crash leaves none that nobody knows of', async () => {
    const exposures = make();
    let steps = 0;
    host.onStep = () => {
      const stored = cells.get('expose/default') ?? '';
      for (const cidr of host.exposed) assert.ok(stored.includes(cidr), `${cidr} in ${stored}`);
      steps += 1;
    };
    await exposures.expose({ addresses: ['192.168.0.1/24'] });
    await exposures.expose({ addresses: ['192.168.1.1/24'], masquerade: false });
    await exposures.hide(['192.168.0.1/24']);
    await exposures.hide([]);
    assert.equal(steps, 8);
    assert.deepEqual([host.exposed, [...cells]], [[], []]);
  });

  it('leave nothing when they cannot be set or written down', async () => {
    const exposures = make();
    host.failure = new Error('no');
    await assert.rejects(expose(exposures, '192.168.0.1/24'), /no/);
    isDiskFull = true;
    await assert.rejects(expose(exposures, '192.168.0.1/24'), /disk full/);
    await assert.rejects(expose(exposures, '10.47.0.9/24'), { code: 'OVL_ADDRESS_IN_USE' });
    await assert.rejects(expose(exposures, '192.168.0.0/24'), { code: 'OVL_ADDRESS_INVALID' });
    assert.deepEqual([host.exposed, host.isMasqueraded, cells.size], [[], false, 0]);
    assert.deepEqual(exposures.exposure.addresses, []);
  });

  it('are given by the mesh where none is named, the same again, and given back when hidden', async () => {
    const exposures = make();
    assert.deepEqual(await expose(exposures), ['10.32.0.7/12']);
    assert.deepEqual(await expose(exposures), ['10.32.0.7/12']);
    assert.deepEqual(await expose(exposures, 'net:10.40.1.0/24', '10.32.0.5/12'), [
      '10.32.0.5/12',
      '10.40.1.7/24',
    ]);
    assert.deepEqual(host.exposed, ['10.32.0.7/12', '10.32.0.5/12', '10.40.1.7/24']);
    assert.deepEqual(await exposures.hide(['10.32.0.7/12']), ['10.32.0.7/12']);
    assert.deepEqual([...held], ['host 10.32.0.5/12', 'host 10.40.1.7/24']);
    await exposures.hide([]);
    assert.deepEqual([host.exposed, [...held]], [[], []]);
  });

  it('are refused where another host has one, and what was asked for beside it is given back', async () => {
    const exposures = make();
    await expose(exposures, '10.32.0.5/12');
    await assert.rejects(expose(exposures, '10.32.0.5/12', '10.32.0.6/12', '10.32.0.8/12'), /bob/);
    host.failure = new Error('no');
    await assert.rejects(expose(exposures), /no/);
    await assert.rejects(expose(exposures, 'none'), { code: 'OVL_ADDRESS_INVALID' });
    assert.deepEqual([host.exposed, [...held]], [['10.32.0.5/12'], ['host 10.32.0.5/12']]);
  });
});
