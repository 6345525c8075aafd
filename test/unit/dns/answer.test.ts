import assert from 'node:assert/strict';

import fc from 'fast-check';

import { seededRng } from '../../../src/base/rng.js';
import { Responder, type Transport } from '../../../src/dns/answer.js';
import { readQuery } from '../../../src/dns/query.js';
import { Zone } from '../../../src/dns/zone.js';
import { dataOf, queryFor, read, type Asked, type Reply } from './messages.js';

const NETWORK = 0;

function responder(): Responder {
  const zone = new Zone('overlay.internal');
  zone.put('web', { network: NETWORK, name: 'web', addresses: ['10.32.0.5', 'fd00::5'] });
  const many = (make: (i: number) => string) => Array.from({ length: 50 }, (_, i) => make(i + 1));
  zone.put('many', { network: NETWORK, name: 'many', addresses: many((i) => `10.32.1.${i}`) });
  zone.put('six', { network: NETWORK, name: 'six', addresses: many((i) => `fd00::${i}`) });
  zone.setRanges(NETWORK, ['10.32.0.0/12']);
  return new Responder({ zone, rng: seededRng(1) });
}

function bytesOf(query: Uint8Array, transport: Transport = 'udp'): Uint8Array {
  const verdict = responder().answer(query, NETWORK, transport);
  assert.ok(verdict.kind === 'reply', verdict.kind);
  return verdict.bytes;
}

const ask = (name: string, asked: Asked = {}, transport: Transport = 'udp'): Reply =>
  read(bytesOf(queryFor(name, asked), transport));

describe('the answer', () => {
  it('has the address, a life of one second, and the question as it was asked', () => {
    const reply = ask('WeB.Overlay.INTERNAL');
    assert.equal(reply.rcode, 'NOERROR');
    assert.equal(reply.flag_aa, true);
    assert.equal(reply.flag_rd, true);
    assert.equal(reply.flag_ra, true);
    assert.equal(reply.id, 0x1234);
    assert.equal(reply.questions?.[0]?.name, 'WeB.Overlay.INTERNAL');
    assert.deepEqual(reply.answers, [
      {
        name: 'WeB.Overlay.INTERNAL',
        type: 'A',
        ttl: 1,
        class: 'IN',
        flush: false,
        data: '10.32.0.5',
      },
    ]);
  });

  it('serves AAAA, PTR of both families, and short names', () => {
    assert.deepEqual(dataOf(ask('web.overlay.internal', { type: 'AAAA' })), ['fd00::5']);
    const ptr4 = ask('5.0.32.10.IN-ADDR.arpa', { type: 'PTR' });
    assert.deepEqual(dataOf(ptr4), ['web.overlay.internal']);
    const ptr6 = ask(`5.${'0.'.repeat(29)}d.f.ip6.arpa`, { type: 'PTR' });
    assert.deepEqual(dataOf(ptr6).sort(), ['six.overlay.internal', 'web.overlay.internal']);
    assert.deepEqual(dataOf(ask('web')), ['10.32.0.5']);
  });

  it('says NOERROR without data for another type and NXDOMAIN for another name, with the SOA', () => {
    for (const [name, type, rcode] of [
      ['web.overlay.internal', 'MX', 'NOERROR'],
      ['many.overlay.internal', 'AAAA', 'NOERROR'],
      ['web', 'TXT', 'NOERROR'],
      ['nobody.overlay.internal', 'A', 'NXDOMAIN'],
      ['9.9.32.10.in-addr.arpa', 'PTR', 'NXDOMAIN'],
    ] as const) {
      const reply = ask(name, { type });
      assert.equal(reply.rcode, rcode, name);
      assert.deepEqual(reply.answers, []);
      const [soa] = reply.authorities ?? [];
      assert.ok(soa?.type === 'SOA', name);
      assert.equal(soa.data.minimum, 1);
      // RFC 2308: what the SOA is of must hold the name.
      assert.ok(name.endsWith(soa.name), soa.name);
    }
  });

  it('lists nothing for ANY (RFC 8482)', () => {
    const query = Buffer.from(queryFor('web.overlay.internal'));
    query.writeUInt16BE(255, query.length - 4);
    const reply = read(bytesOf(query));
    assert.deepEqual(
      reply.answers?.map((answer) => answer.type),
      ['HINFO'],
    );
  });

  it('cuts 50 addresses at 512 bytes, and gives them whole by EDNS0 and TCP', () => {
    const plain = bytesOf(queryFor('many.overlay.internal'));
    assert.ok(plain.length <= 512);
    assert.equal(read(plain).flag_tc, true);
    assert.ok((read(plain).answers?.length ?? 0) > 20);
    const edns = ask('many.overlay.internal', { edns: 1232 });
    assert.equal(edns.flag_tc, false);
    assert.equal(new Set(dataOf(edns)).size, 50);
    const tcp = ask('six.overlay.internal', { type: 'AAAA' }, 'tcp');
    assert.equal(tcp.flag_tc, false);
    assert.equal(new Set(dataOf(tcp)).size, 50);
  });

  it('sends no datagram above 1 232 bytes however much the client would take', () => {
    const cut = bytesOf(queryFor('six.overlay.internal', { type: 'AAAA', edns: 65_535 }));
    assert.ok(cut.length <= 1232);
    assert.equal(read(cut).flag_tc, true);
    const [opt] = read(cut).additionals ?? [];
    assert.ok(opt?.type === 'OPT');
    assert.equal(opt.udpPayloadSize, 1232);
  });

  it('puts each address first about equally often', () => {
    const zone = new Zone('overlay.internal');
    zone.put('one', { network: 0, name: 'web', addresses: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] });
    const shuffling = new Responder({ zone, rng: seededRng(7) });
    const firsts = new Map<string, number>();
    for (let i = 0; i < 3000; i += 1) {
      const verdict = shuffling.answer(queryFor('web'), 0, 'udp');
      assert.ok(verdict.kind === 'reply');
      const [first = ''] = dataOf(read(verdict.bytes));
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    assert.equal(firsts.size, 3);
    for (const count of firsts.values()) assert.ok(count > 900 && count < 1100, String(count));
  });

  it('keeps the domain to itself and passes everything else on', () => {
    const kind = (name: string, type: 'A' | 'MX' | 'PTR' = 'A') =>
      responder().answer(queryFor(name, { type }), NETWORK, 'udp').kind;
    assert.equal(kind('example.com', 'MX'), 'forward');
    assert.equal(kind('printer'), 'forward');
    assert.equal(kind('1.1.168.192.in-addr.arpa', 'PTR'), 'forward');
    assert.equal(kind('x.y.z.overlay.internal', 'MX'), 'reply');
  });
});

describe('the answer to nonsense', () => {
  const flags = (query: Uint8Array, value: number): Uint8Array => {
    const out = Buffer.from(query);
    out.writeUInt16BE(value, 2);
    return out;
  };
  const rcodeOf = (query: Uint8Array): string => read(bytesOf(query)).rcode;

  it('is silence for responses and scraps', () => {
    const query = queryFor('web');
    const kind = (bytes: Uint8Array) => responder().answer(bytes, NETWORK, 'udp').kind;
    assert.equal(kind(flags(query, 0x8100)), 'drop');
    assert.equal(kind(new Uint8Array(11)), 'drop');
    assert.equal(kind(new Uint8Array(0)), 'drop');
  });

  it('is NOTIMP for other operations, REFUSED for other classes and transfers', () => {
    for (const opcode of [1, 2, 4, 5, 15]) {
      assert.equal(rcodeOf(flags(queryFor('web'), opcode << 11)), 'NOTIMP');
    }
    assert.equal(rcodeOf(queryFor('version.bind', { type: 'TXT', class: 'CH' })), 'REFUSED');
    assert.equal(rcodeOf(queryFor('web.overlay.internal', { class: 'ANY' })), 'REFUSED');
    assert.equal(rcodeOf(queryFor('overlay.internal', { type: 'AXFR' })), 'REFUSED');
    assert.equal(rcodeOf(queryFor('example.com', { type: 'IXFR' })), 'REFUSED');
  });

  it('is BADVERS for an EDNS of tomorrow', () => {
    const reply = ask('web', { edns: 1232, ednsVersion: 1 });
    const [opt] = reply.additionals ?? [];
    assert.ok(opt?.type === 'OPT');
    assert.equal(opt.extendedRcode, 1);
    assert.deepEqual(reply.answers, []);
  });

  it('is FORMERR for no, two or half a question, pointers, two OPT and trailing bytes', () => {
    const query = Buffer.from(queryFor('web.overlay.internal'));
    const withCount = (offset: number, count: number): Uint8Array => {
      const out = Buffer.from(query);
      out.writeUInt16BE(count, offset);
      return out;
    };
    const question = query.subarray(12);
    const pointer = Buffer.concat([query.subarray(0, 12), Buffer.from('c00c00010001', 'hex')]);
    const opt = Buffer.from('0000290200000000000000', 'hex');
    const twoOpts = Buffer.concat([withCount(10, 2), opt, opt]);
    const hostile: Record<string, Uint8Array> = {
      none: withCount(4, 0),
      two: Buffer.concat([withCount(4, 2), question]),
      answers: withCount(6, 1),
      half: query.subarray(0, 20),
      pointerToItself: pointer,
      twoOpts,
      ownedOpt: Buffer.concat([withCount(10, 1), Buffer.from('0161', 'hex'), opt]),
      trailing: Buffer.concat([query, Buffer.from([0])]),
      manyAdditionals: withCount(10, 0xffff),
    };
    for (const [name, bytes] of Object.entries(hostile)) {
      assert.equal(rcodeOf(bytes), 'FORMERR', name);
      assert.equal(bytesOf(bytes).length, 12, name);
    }
  });

  it('never throws, never exceeds the limit and never grows out of a datagram turned or cut anywhere', () => {
    const answering = responder();
    const check = (bytes: Uint8Array): void => {
      const verdict = answering.answer(bytes, NETWORK, 'udp');
      if (verdict.kind !== 'reply') return;
      assert.ok(verdict.bytes.length <= 1232);
      assert.ok(((verdict.bytes[2] ?? 0) & 0x80) !== 0);
      assert.deepEqual(verdict.bytes.subarray(0, 2), Uint8Array.from(bytes.subarray(0, 2)));
    };
    for (const query of [queryFor('web.overlay.internal', { edns: 1232 }), queryFor('many')]) {
      for (let i = 0; i < query.length; i += 1) {
        check(query.subarray(0, i));
        for (let bit = 0; bit < 8; bit += 1) {
          const flipped = Uint8Array.from(query);
          flipped[i] = (flipped[i] ?? 0) ^ (1 << bit);
          check(flipped);
        }
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), check));
  });

  it('reads the names that the library writes, and the same types', () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
    fc.assert(
      fc.property(name, fc.constantFrom('A', 'AAAA', 'PTR', 'MX'), (text, type) => {
        const read = readQuery(queryFor(text, { type, edns: 900 }));
        assert.ok(read.ok);
        assert.equal(read.value.name, text.toLowerCase());
        assert.equal(read.value.edns?.payloadBytes, 900);
      }),
    );
  });

  it('takes a dot inside a label for none that separates', () => {
    const header = Buffer.from('123401000001000000000000', 'hex');
    const forged = Buffer.concat([
      header,
      Buffer.from([11]),
      Buffer.from('web.overlay'),
      Buffer.from([8]),
      Buffer.from('internal'),
      Buffer.from([0, 0, 1, 0, 1]),
    ]);
    const verdict = responder().answer(forged, NETWORK, 'udp');
    assert.ok(verdict.kind === 'forward');
    assert.equal(verdict.query.name, 'web\\046overlay.internal');
  });
});
