import ipaddr from 'ipaddr.js';

import { MAX_NAME_BYTES } from '../model/host-name.js';

/*
 * Names as texts: lower case, labels joined by dots, no final dot, the root is ''. DNS allows any byte in a label; a
 * dot or backslash inside one is written \046 or \092, so that two names are equal exactly if their texts are.
 */

const MAX_LABEL_BYTES = 63;

/**
 * Reads a name without compression pointers: in a question nothing precedes it that one could point to. `end` is the
 * offset after it. Undefined: cut short, too long, or made of other than plain labels.
 */
export function readPlainName(
  bytes: Uint8Array,
  start: number,
): { readonly name: string; readonly end: number } | undefined {
  let name = '';
  let offset = start;
  for (;;) {
    const length = bytes[offset];
    if (length === undefined || length > MAX_LABEL_BYTES) return undefined;
    offset += 1;
    if (offset - start > MAX_NAME_BYTES) return undefined;
    if (length === 0) return { name, end: offset };
    if (offset + length > bytes.length) return undefined;
    if (name !== '') name += '.';
    for (const end = offset + length; offset < end; offset += 1)
      name += LETTERS[bytes[offset] ?? 0] ?? '';
  }
}

/** Text of each byte in a label. Case is kept out of names for ASCII only (RFC 4343). */
const LETTERS = Array.from({ length: 256 }, (_, byte) => {
  const letter = String.fromCharCode(byte);
  if (letter === '.' || letter === '\\') return `\\0${byte}`;
  return byte < 128 ? letter.toLowerCase() : letter;
});

/** Offset after a name that may end in a compression pointer, which is not followed; undefined when cut short. */
export function skipName(bytes: Uint8Array, start: number): number | undefined {
  let offset = start;
  while (offset - start < MAX_NAME_BYTES) {
    const length = bytes[offset];
    if (length === undefined) return undefined;
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2 <= bytes.length ? offset + 2 : undefined;
    if (length > MAX_LABEL_BYTES) return undefined;
    offset += 1 + length;
  }
  return undefined;
}

/** The address that a complete reverse name stands for (RFC 1035 §3.5, RFC 3596 §2.5), canonical; else undefined. */
export function addressOfReverseName(name: string): string | undefined {
  if (name.endsWith('.in-addr.arpa')) {
    const octets = name.split('.').slice(0, -2);
    const isComplete =
      octets.length === 4 && octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet));
    return isComplete ? canonicalAddress(octets.reverse().join('.')) : undefined;
  }
  if (name.endsWith('.ip6.arpa')) {
    const digits = name.split('.').slice(0, -2);
    if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit)))
      return undefined;
    const groups = digits.reverse().join('').match(/.{4}/g) ?? [];
    return canonicalAddress(groups.join(':'));
  }
  return undefined;
}

/** An IPv4 address in dotted form or an IPv6 address without scope in RFC 5952 form; undefined for anything else. */
export function canonicalAddress(text: string): string | undefined {
  if (text.includes('%')) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text).toRFC5952String() : undefined;
}
