import assert from 'node:assert/strict';

import { Exposures } from '../../../src/workload/exposures.js';
import { NetworkExposures } from '../../../src/workload/network-exposures.js';
import { FakePortHost } from './fake-port-host.js';

describe('exposed addresses of several networks', () => {
  let ports: FakePortHost;
  let cells: Map<string, string>;
  /** Of the host, by network. */
  let addresses: Map<string, Set<string>>;
  let failure: Error | undefined;

  beforeEach(() => {
    ports = new FakePortHost();
    cells = new Map();
    addresses = new Map();
    failure = undefined;
  });

  function make(): NetworkExposures {
    const { networks, alarm } = ports.components;
    const warn = (message: string) => ports.warnings.push(message);
    const store = {
      declared: (prefix: string) =>
        [...cells]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, text]) => [key, JSON.parse(text) as unknown] as const),
      writeDeclared: (key: string, value: object | undefined) => {
        if (value) cells.set(key, JSON.stringify(value));
        else cells.delete(key);
      },
    };
    const makeOne = (network: string): Exposures => {
      const own = new Set<string>();
      addresses.set(network, own);
      const host = {
        setAddresses: async (wanted: readonly string[], gone: readonly string[]) => {
          if (failure) throw failure;
          for (const cidr of gone) own.delete(cidr);
          for (const cidr of wanted) own.add(cidr);
        },
        setMasquerade: async () => undefined,
        checkMasquerade: async () => undefined,
      };
      const source = ports.components.addresses(network);
      const parts = {
        host,
        store,
        alarm,
        warn,
        addresses: () => source,
        holderOf: () => undefined,
      };
      const options = { domain: 'overlay.internal', owner: 'host', key: `expose/${network}` };
      return new Exposures({ ...parts, onChange: () => undefined }, options);
    };
    return new NetworkExposures({ make: makeOne, networks, store, warn });
  }

  const on = (network: string) => [...(addresses.get(network) ?? [])];

  it('are there on each by themselves, with the bridge, over restarts', async () => {
    const first = make();
    await first.start();
    await first.expose({ network: 'blue', addresses: ['10.80.0.1/16'] });
    await first.expose({ network: 'red', addresses: ['10.80.0.1/16'] });
    await first.expose({ addresses: ['192.168.0.1/24'] });
    assert.deepEqual([on('blue'), on('red')], [['10.80.0.1/16'], ['10.80.0.1/16']]);
    ports.bridges.clear();
    const next = make();
    await next.start();
    assert.deepEqual([...ports.bridges].sort(), ['blue', 'red']);
    assert.deepEqual([...next.used].sort(), ['blue', 'default', 'red']);
    assert.deepEqual(await next.hide([], 'blue'), ['10.80.0.1/16']);
    assert.deepEqual([on('blue'), on('default')], [[], ['192.168.0.1/24']]);
    assert.deepEqual([...ports.bridges], ['red']);
    assert.deepEqual(await next.hide([], 'green'), []);
  });

  it('are given of the network they are asked for on', async () => {
    const exposures = make();
    await exposures.start();
    assert.deepEqual(await exposures.expose({ network: 'blue', addresses: [] }), ['10.80.0.9/16']);
    assert.deepEqual(await exposures.expose({ addresses: [] }), ['10.32.0.9/12']);
    assert.deepEqual([on('blue'), on('default')], [['10.80.0.9/16'], ['10.32.0.9/12']]);
    await exposures.hide([], 'blue');
    assert.deepEqual(ports.released, ['10.80.0.9/16 of blue']);
  });

  it('leave no bridge where they cannot be', async () => {
    const exposures = make();
    await exposures.start();
    const expose = (network: string, address: string) =>
      exposures.expose({ network, addresses: [address] });
    await assert.rejects(expose('blue', '10.81.0.1/16'), { code: 'OVL_ADDRESS_INVALID' });
    await assert.rejects(expose('green', '10.80.0.1/16'), { code: 'OVL_NOT_FOUND' });
    failure = new Error('no');
    await assert.rejects(expose('blue', '10.80.0.1/16'), { message: 'no' });
    assert.deepEqual([[...ports.bridges], [...cells.keys()]], [[], []]);
  });
});
