import { encode, type Answer } from 'dns-packet';

import { TTL_SECONDS } from './constants.js';
import { HEADER_BYTES } from './query.js';

/*
 * Records encoded once, when a name comes, and copied into every answer. The library encodes them under the root
 * (one zero byte); what follows the owner is the *tail*, which fits behind any other owner, such as the two bytes that
 * point to the question's name. So 50 addresses take 800 bytes and not 1 800.
 */

/** Type, class, TTL, length and data of a record: everything but its owner. */
export type RecordTail = Uint8Array;

/** A pointer to the name of the question, right behind the header. */
export const OWNER_IS_QUESTION = Uint8Array.of(0xc0, HEADER_BYTES);

export function addressTail(address: string): RecordTail {
  return tail({
    name: '.',
    type: address.includes(':') ? 'AAAA' : 'A',
    data: address,
    ttl: TTL_SECONDS,
  });
}

export function pointerTail(name: string): RecordTail {
  return tail({ name: '.', type: 'PTR', data: name, ttl: TTL_SECONDS });
}

/** What RFC 8482 answers to ANY: one record that says there is no listing. */
export function anyTail(): RecordTail {
  return tail({ name: '.', type: 'HINFO', data: { cpu: 'RFC8482', os: '' }, ttl: TTL_SECONDS });
}

/** Says whose domain it is and for how long "no" may be remembered (RFC 2308). */
export function soaTail(domain: string): RecordTail {
  return tail({
    name: '.',
    type: 'SOA',
    ttl: TTL_SECONDS,
    data: {
      mname: domain,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: TTL_SECONDS,
    },
  });
}

/** A whole OPT record. `extendedRcode`: the upper 8 bits of the 12. */
export function optRecord(
  payloadBytes: number,
  extendedRcode: number,
  isDnssecOk: boolean,
): Uint8Array {
  return encode({
    type: 'response',
    additionals: [
      {
        name: '.',
        type: 'OPT',
        udpPayloadSize: payloadBytes,
        extendedRcode,
        ednsVersion: 0,
        flags: isDnssecOk ? 0x8000 : 0,
        flag_do: isDnssecOk,
        options: [],
      },
    ],
  }).subarray(HEADER_BYTES);
}

/** A name without compression. */
export function nameBytes(name: string): Uint8Array {
  const question = encode({ type: 'query', questions: [{ name, type: 'A' }] });
  return question.subarray(HEADER_BYTES, -4);
}

function tail(answer: Answer): RecordTail {
  return encode({ type: 'response', answers: [answer] }).subarray(HEADER_BYTES + 1);
}
