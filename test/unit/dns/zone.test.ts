import assert from 'node:assert/strict';

import fc from 'fast-check';

import { MAX_TARGETS_READ } from '../../../src/dns/constants.js';
import { addressOfReverseName } from '../../../src/dns/name.js';
import { parseHostName, relativeName } from '../../../src/model/host-name.js';
import { TYPE } from '../../../src/dns/query.js';
import { Zone } from '../../../src/dns/zone.js';

const BLUE = 7;
const RED = 8;
const web = (addresses: readonly string[], network = BLUE) => ({ network, name: 'web', addresses });

/** Everything that is asked of a zone, as one comparable value. */
function everything(zone: Zone): unknown {
  const names = ['web', 'db', 'a.web', 'b.a.web', 'no'].map((name) => `${name}.overlay.internal`);
  const reverse = ['1.0.0.10.in-addr.arpa', '2.0.0.10.in-addr.arpa'];
  return [BLUE, RED].map((network) =>
    [...names, ...reverse].map((name) =>
      [TYPE.a, TYPE.aaaa, TYPE.ptr].map((type) => {
        const found = zone.find(network, name, type);
        const tails = found.kind === 'records' ? found.tails : [];
        return [found.kind, tails.map((tail) => Buffer.from(tail).toString('hex')).sort()];
      }),
    ),
  );
}

describe('the zone', () => {
  it('tells a name that is not there from one without such an address', () => {
    const zone = new Zone('overlay.internal');
    zone.put('one', web(['10.0.0.1']));
    const kind = (name: string, type: number) => zone.find(BLUE, name, type).kind;
    assert.equal(kind('web.overlay.internal', TYPE.a), 'records');
    assert.equal(kind('web.overlay.internal', TYPE.aaaa), 'noData');
    assert.equal(kind('web.overlay.internal', TYPE.any), 'any');
    assert.equal(kind('other.overlay.internal', TYPE.a), 'noName');
    assert.equal(kind('overlay.internal', TYPE.soa), 'soa');
    assert.equal(kind('overlay.internal', TYPE.a), 'noData');
    assert.equal(kind('example.com', TYPE.a), 'foreign');
    assert.equal(kind('xoverlay.internal', TYPE.a), 'foreign');
    assert.equal(kind('', TYPE.soa), 'foreign');
  });

  it('completes a short name that it knows and leaves others to the servers above', () => {
    const zone = new Zone('overlay.internal');
    zone.put('one', web(['10.0.0.1']));
    assert.equal(zone.find(BLUE, 'web', TYPE.a).kind, 'records');
    assert.equal(zone.find(BLUE, 'web', TYPE.aaaa).kind, 'noData');
    assert.equal(zone.find(BLUE, 'printer', TYPE.a).kind, 'foreign');
  });

  it('makes answers of a bounded part of what members state', () => {
    const zone = new Zone('overlay.internal');
    for (let source = 0; source < 20; source++) {
      const addresses = Array.from({ length: 100 }, (_, at) => `10.1.${source}.${at}`);
      zone.put(`a${source}`, web(addresses));
      for (const each of addresses.keys()) {
        const name = `n${source}-${each}`;
        zone.put(`b${source} ${each}`, { network: BLUE, name, addresses: ['10.0.0.1'] });
      }
    }
    for (const [name, type] of [
      ['web.overlay.internal', TYPE.a],
      ['1.0.0.10.in-addr.arpa', TYPE.ptr],
    ] as const) {
      const found = zone.find(BLUE, name, type);
      assert.equal(found.kind === 'records' && found.tails.length, MAX_TARGETS_READ);
    }
  });

  it('has a parent as long as a name below it', () => {
    const zone = new Zone('overlay.internal');
    zone.put('one', { network: BLUE, name: 'db.east', addresses: ['10.0.0.1'] });
    assert.equal(zone.find(BLUE, 'east.overlay.internal', TYPE.a).kind, 'noData');
    zone.delete('one');
    assert.equal(zone.find(BLUE, 'east.overlay.internal', TYPE.a).kind, 'noName');
  });

  it('keeps an address until the last source that names it is gone', () => {
    const zone = new Zone('overlay.internal');
    zone.put('one', web(['10.0.0.1', '10.0.0.2']));
    zone.put('two', web(['10.0.0.2', 'fd00::2']));
    assert.deepEqual(zone.list(), [
      {
        network: BLUE,
        name: 'web.overlay.internal',
        addresses: ['10.0.0.1', '10.0.0.2', 'fd00::2'],
        sources: ['one', 'two'],
      },
    ]);
    zone.delete('two');
    assert.deepEqual(zone.list()[0]?.addresses, ['10.0.0.1', '10.0.0.2']);
    zone.delete('one');
    assert.deepEqual(zone.list(), []);
    assert.equal(zone.delete('one'), false);
  });

  it('shows nothing of one network in another', () => {
    const zone = new Zone('overlay.internal');
    zone.put('one', web(['10.0.0.1'], BLUE));
    zone.put('two', web(['10.0.0.2'], RED));
    zone.put('three', { network: RED, name: 'secret', addresses: ['10.0.0.3'] });
    assert.equal(zone.find(BLUE, 'secret.overlay.internal', TYPE.a).kind, 'noName');
    assert.equal(zone.find(BLUE, '3.0.0.10.in-addr.arpa', TYPE.ptr).kind, 'foreign');
    assert.equal(zone.find(BLUE, '2.0.0.10.in-addr.arpa', TYPE.ptr).kind, 'foreign');
    assert.equal(zone.find(RED, '2.0.0.10.in-addr.arpa', TYPE.ptr).kind, 'records');
  });

  it('knows by its ranges which unknown addresses nobody else can name', () => {
    const zone = new Zone('overlay.internal');
    zone.setRanges(BLUE, ['10.32.0.0/12', 'fd00::/8', 'nonsense']);
    const ptr = (name: string) => zone.find(BLUE, name, TYPE.ptr).kind;
    assert.equal(ptr('5.0.40.10.in-addr.arpa'), 'noName');
    assert.equal(ptr('5.0.64.10.in-addr.arpa'), 'foreign');
    assert.equal(ptr(`${'0.'.repeat(30)}d.f.ip6.arpa`), 'noName');
    assert.equal(ptr('10.in-addr.arpa'), 'foreign');
  });

  it('refuses what is no name or has no address, and then says nothing of that source', () => {
    const zone = new Zone('overlay.internal');
    const refused = [
      '',
      '.',
      'a b',
      'a..b',
      '-a',
      'ä',
      'x'.repeat(64),
      'a\\046b',
      `${'ab.'.repeat(90)}c`,
    ];
    for (const name of refused) {
      zone.put('one', web(['10.0.0.1']));
      assert.equal(zone.put('one', { network: BLUE, name, addresses: ['10.0.0.1'] }), false, name);
    }
    zone.put('one', web(['10.0.0.1']));
    assert.equal(zone.put('one', web(['10.0.0', '1', 'fe80::1%eth0', 'x'])), false);
    assert.deepEqual(zone.list(), []);
  });

  it('is the same whatever the order in which sources came, changed and went', () => {
    const statement = fc.record({
      network: fc.constantFrom(BLUE, RED),
      name: fc.constantFrom('web', 'WEB', 'db', 'a.web', 'b.a.web'),
      addresses: fc.subarray(['10.0.0.1', '10.0.0.2', 'fd00::1', 'FD00:0::1'], { minLength: 1 }),
    });
    const step = fc.tuple(fc.constantFrom('p', 'q', 'r', 's'), fc.option(statement));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const walked = new Zone('overlay.internal');
        const last = new Map<string, (typeof steps)[number][1]>();
        for (const [source, said] of steps) {
          if (said === null) walked.delete(source);
          else walked.put(source, said);
          last.delete(source);
          last.set(source, said);
        }
        const fresh = new Zone('overlay.internal');
        for (const [source, said] of last) if (said !== null) fresh.put(source, said);
        assert.deepEqual(everything(walked), everything(fresh));
        assert.deepEqual(walked.list(), fresh.list());
      }),
    );
  });
});

describe('names', () => {
  it('relative to the domain', () => {
    const relative = (text: string) => relativeName(text, 'overlay.internal');
    assert.equal(relative('Web'), 'web');
    assert.equal(relative('web.OVERLAY.internal.'), 'web');
    assert.equal(relative('db.east.overlay.internal'), 'db.east');
    assert.equal(relative('db.example.com'), undefined);
    assert.equal(relative('overlay.internal'), undefined);
    assert.equal(parseHostName('My_Container-1.'), 'my_container-1');
  });

  it('of addresses, complete ones only', () => {
    assert.equal(addressOfReverseName('4.3.2.1.in-addr.arpa'), '1.2.3.4');
    assert.equal(addressOfReverseName('04.3.2.1.in-addr.arpa'), undefined);
    assert.equal(addressOfReverseName('256.3.2.1.in-addr.arpa'), undefined);
    assert.equal(addressOfReverseName('3.2.1.in-addr.arpa'), undefined);
    const nibbles = `1.${'0.'.repeat(29)}d.f.ip6.arpa`;
    assert.equal(addressOfReverseName(nibbles), 'fd00::1');
    assert.equal(addressOfReverseName(nibbles.slice(2)), undefined);
  });
});
