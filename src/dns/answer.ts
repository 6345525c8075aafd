import type { Rng } from '../base/rng.js';
import { MAX_TCP_BYTES, MAX_UDP_BYTES, PLAIN_UDP_BYTES } from './constants.js';
import {
  CLASS_IN,
  FLAG,
  HEADER_BYTES,
  OPCODE_MASK,
  RCODE,
  readQuery,
  setU16,
  TYPE,
  u16,
  type Query,
  type Rcode,
} from './query.js';
import {
  anyTail,
  nameBytes,
  optRecord,
  OWNER_IS_QUESTION,
  soaTail,
  type RecordTail,
} from './records.js';
import type { Finding, Zone } from './zone.js';

export type Transport = 'udp' | 'tcp';

export type Verdict =
  | { readonly kind: 'reply'; readonly bytes: Uint8Array }
  /** Well-formed and not ours: for the upstream servers. */
  | { readonly kind: 'forward'; readonly query: Query }
  /** No answer at all: an answer to nonsense serves only who wants two servers to talk to each other. */
  | { readonly kind: 'drop'; readonly reason: 'short' | 'response' };

interface Contents {
  readonly rcode: Rcode;
  readonly isAuthoritative?: boolean;
  readonly answers?: readonly RecordTail[];
  /** Whole record. Left out, without a word, when it does not fit. */
  readonly authority?: Uint8Array;
}

/**
 * Answers queries about the names of a zone: bytes in, bytes out, whatever the bytes are. Names in the domain are
 * answered here and by nobody else, known or not.
 */
export class Responder {
  readonly #zone: Zone;
  readonly #rng: Rng;
  readonly #soa: RecordTail;
  readonly #any = anyTail();
  readonly #domainBytes: Uint8Array;

  constructor(components: { readonly zone: Zone; readonly rng: Rng }) {
    this.#zone = components.zone;
    this.#rng = components.rng;
    this.#soa = soaTail(components.zone.domain);
    this.#domainBytes = nameBytes(components.zone.domain);
  }

  /**
   * @param network the one the query came from: it learns names of no other
   * @param also but of these, in order, where the first has no such name
   */
  answer(
    bytes: Uint8Array,
    network: number,
    transport: Transport,
    also: readonly number[] = [],
  ): Verdict {
    if (bytes.length < HEADER_BYTES) return { kind: 'drop', reason: 'short' };
    const flags = u16(bytes, 2);
    if ((flags & FLAG.qr) !== 0) return { kind: 'drop', reason: 'response' };
    if ((flags & OPCODE_MASK) !== 0) return reply(headerOnly(bytes, RCODE.notImp));
    const read = readQuery(bytes);
    if (!read.ok) return reply(headerOnly(bytes, RCODE.formErr));
    const query = read.value;
    const limit = replyLimit(query, transport);
    const refusal = refusalOf(query);
    if (refusal !== undefined) return reply(buildReply(bytes, query, { rcode: refusal }, limit));
    const contents = this.#contents(this.#find(query, [network, ...also]));
    if (contents === undefined) return { kind: 'forward', query };
    return reply(buildReply(bytes, query, contents, limit));
  }

  /** What the first network says that has the name; else the first that would have it. */
  #find({ name, type }: Query, networks: readonly number[]): Finding {
    const all = networks.map((network) => this.#zone.find(network, name, type));
    const known = all.find(({ kind }) => kind !== 'foreign' && kind !== 'noName');
    return known ?? all.find(({ kind }) => kind === 'noName') ?? { kind: 'foreign' };
  }

  #contents(found: Finding): Contents | undefined {
    const own = { rcode: RCODE.noError, isAuthoritative: true };
    switch (found.kind) {
      case 'foreign':
        return undefined;
      case 'records':
        return { ...own, answers: shuffled(found.tails, this.#rng) };
      case 'any':
        return { ...own, answers: [this.#any] };
      case 'soa':
        return { ...own, answers: [this.#soa] };
      case 'noData':
        return { ...own, authority: this.#authority(found.isInDomain) };
      case 'noName':
        return { ...own, rcode: RCODE.nxDomain, authority: this.#authority(found.isInDomain) };
    }
  }

  /** A short or reverse name lies in no zone of ours but itself. */
  #authority(isInDomain: boolean): Uint8Array {
    return Buffer.concat([isInDomain ? this.#domainBytes : OWNER_IS_QUESTION, this.#soa]);
  }
}

/** Says that nobody could answer. For a query that `Responder.answer` passed on. */
export function failureReply(
  bytes: Uint8Array,
  query: Query,
  transport: Transport,
  rcode: Rcode,
): Uint8Array {
  return buildReply(bytes, query, { rcode }, replyLimit(query, transport));
}

/** Asks the client to come again by TCP. */
export function truncatedReply(bytes: Uint8Array, query: Query): Uint8Array {
  const out = failureReply(bytes, query, 'udp', RCODE.noError);
  setU16(out, 2, u16(out, 2) | FLAG.tc);
  return out;
}

/** The longest answer the client can take. */
export function replyLimit(query: Query, transport: Transport): number {
  if (transport === 'tcp') return MAX_TCP_BYTES;
  const wanted = query.edns?.payloadBytes ?? PLAIN_UDP_BYTES;
  return Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, wanted));
}

function reply(bytes: Uint8Array): Verdict {
  return { kind: 'reply', bytes };
}

function refusalOf(query: Query): Rcode | undefined {
  if (query.edns !== undefined && query.edns.version !== 0) return RCODE.badVers;
  if (query.type === TYPE.opt) return RCODE.formErr;
  if (query.class !== CLASS_IN) return RCODE.refused;
  // Zone transfers and the mailbox types of 1983.
  const isTransfer = query.type >= TYPE.ixfr && query.type <= TYPE.mailA;
  return isTransfer ? RCODE.refused : undefined;
}

function headerOnly(bytes: Uint8Array, rcode: Rcode): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES);
  out.set(bytes.subarray(0, 2));
  const kept = OPCODE_MASK | FLAG.rd | FLAG.cd;
  setU16(out, 2, (u16(bytes, 2) & kept) | FLAG.qr | FLAG.ra | rcode);
  return out;
}

/** Header and question as they came (case and all), then whole records as long as they fit. */
function buildReply(
  bytes: Uint8Array,
  query: Query,
  contents: Contents,
  limit: number,
): Uint8Array {
  const { rcode, answers = [], authority } = contents;
  const opt =
    query.edns === undefined
      ? NOTHING
      : optRecord(MAX_UDP_BYTES, rcode >> 4, query.edns.isDnssecOk);
  let size = query.questionEnd + opt.length;
  let count = 0;
  for (const tail of answers) {
    const recordSize = OWNER_IS_QUESTION.length + tail.length;
    if (size + recordSize > limit) break;
    size += recordSize;
    count += 1;
  }
  const hasAuthority = authority !== undefined && size + authority.length <= limit;
  if (hasAuthority) size += authority.length;
  const out = new Uint8Array(size);
  out.set(bytes.subarray(0, query.questionEnd));
  const kept = u16(bytes, 2) & (FLAG.rd | FLAG.cd);
  const isCut = count < answers.length;
  const own = contents.isAuthoritative === true ? FLAG.aa : 0;
  setU16(out, 2, kept | FLAG.qr | FLAG.ra | own | (isCut ? FLAG.tc : 0) | (rcode & 0xf));
  setU16(out, 6, count);
  setU16(out, 8, hasAuthority ? 1 : 0);
  setU16(out, 10, opt.length > 0 ? 1 : 0);
  let offset = query.questionEnd;
  for (let i = 0; i < count; i += 1) {
    offset = append(out, offset, OWNER_IS_QUESTION);
    offset = append(out, offset, answers[i] ?? NOTHING);
  }
  if (hasAuthority) offset = append(out, offset, authority);
  append(out, offset, opt);
  return out;
}

const NOTHING = new Uint8Array(0);

function append(out: Uint8Array, offset: number, part: Uint8Array): number {
  out.set(part, offset);
  return offset + part.length;
}

/** Fisher-Yates on a copy: clients take the first address, so each gets its share. */
function shuffled<T>(items: readonly T[], rng: Rng): readonly T[] {
  if (items.length < 2) return items;
  const out = [...items];
  const random = rng.bytes(2 * out.length);
  for (let last = out.length - 1; last > 0; last -= 1) {
    const other = u16(random, 2 * last) % (last + 1);
    const held = out[last] as T;
    out[last] = out[other] as T;
    out[other] = held;
  }
  return out;
}
