import { decode, encode, type DecodedPacket, type RecordType } from 'dns-packet';

/*
 * Queries and replies by the library, which had no part in reading the former and only little in writing the latter.
 */

export interface Asked {
  readonly id?: number;
  readonly type?: RecordType;
  readonly class?: 'IN' | 'CH' | 'ANY';
  /** EDNS0 payload size. */
  readonly edns?: number;
  readonly ednsVersion?: number;
}

export function queryFor(name: string, asked: Asked = {}): Uint8Array {
  return encode({
    type: 'query',
    id: asked.id ?? 0x1234,
    flags: 0x0100,
    questions: [{ name, type: asked.type ?? 'A', class: asked.class ?? 'IN' }],
    additionals:
      asked.edns === undefined
        ? []
        : [
            {
              name: '.',
              type: 'OPT',
              udpPayloadSize: asked.edns,
              extendedRcode: 0,
              ednsVersion: asked.ednsVersion ?? 0,
              flags: 0,
              flag_do: false,
              options: [],
            },
          ],
  });
}

/** A reply with the fields that the library has and its types lack. */
export type Reply = DecodedPacket & { readonly rcode: string };

export function read(bytes: Uint8Array): Reply {
  return decode(Buffer.from(bytes)) as Reply;
}

export function dataOf(reply: Reply): string[] {
  return (reply.answers ?? []).map((answer) =>
    'data' in answer && typeof answer.data === 'string' ? answer.data : answer.type,
  );
}
