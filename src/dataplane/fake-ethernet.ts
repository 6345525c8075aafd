import { parseMac, type Mac } from '../model/mac.js';

/* What the fake data plane tells apart about frames, as native/core/mac.h and multicast.h do. */

/** Under this key stand those who are to hear reports. */
export const ROUTER_GROUP = parseMac('00:00:00:00:00:00') as Mac;

const IGMP_REPORTS = [0x12, 0x16, 0x17, 0x22];
const IGMP_QUERY = 0x11;
const MLD_REPORTS = [131, 132, 143];
const MLD_QUERY = 130;

/** 01:80:c2:00:00:0x */
export function isLinkLocal(mac: Mac): boolean {
  return mac.startsWith('01:80:c2:00:00:0');
}

/** Pause frames. */
export function isMacControl(frame: Uint8Array): boolean {
  return frame[12] === 0x88 && frame[13] === 0x08;
}

/** Of an untagged IGMP or MLD frame. */
export function membershipOf(frame: Uint8Array): 'none' | 'report' | 'query' {
  if (((frame[0] ?? 0) & 1) === 0) return 'none';
  if (frame[12] === 0x08 && frame[13] === 0x00 && frame[23] === 2) {
    const type = frame[14 + ((frame[14] ?? 0) & 0x0f) * 4] ?? 0;
    return type === IGMP_QUERY ? 'query' : IGMP_REPORTS.includes(type) ? 'report' : 'none';
  }
  if (frame[12] === 0x86 && frame[13] === 0xdd && frame[20] === 0 && frame[54] === 58) {
    const type = frame[54 + ((frame[55] ?? 0) + 1) * 8] ?? 0;
    return type === MLD_QUERY ? 'query' : MLD_REPORTS.includes(type) ? 'report' : 'none';
  }
  return 'none';
}
