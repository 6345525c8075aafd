import type { Mac } from '../model/mac.js';
import type { GroupAddress } from './membership-message.js';

/** The MAC of a group's frames (RFC 1112 §6.4, RFC 2464 §7). */
export function macOfGroup(group: GroupAddress): Mac {
  const low = pairs(group.slice(group.length === 8 ? 2 : 24));
  if (group.length !== 8) return `33:33:${low.join(':')}` as Mac;
  const first = Number.parseInt(low[0] ?? '0', 16) & 0x7f;
  return ['01:00:5e', first.toString(16).padStart(2, '0'), ...low.slice(1)].join(':') as Mac;
}

function pairs(hex: string): string[] {
  return hex.match(/../g) ?? [];
}
