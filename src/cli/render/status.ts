import type { LinkState, StatusDocument } from '../../api/control.js';
import { LINK_STATES } from '../../api/control.js';
import { renderFields, renderTable } from './table.js';
import { orDash, plural, printable } from './text.js';

export function renderStatus(status: StatusDocument): string[] {
  const { self } = status;
  const addresses = self.addresses.length === 0 ? ['none'] : self.addresses;
  return [
    `overlayd ${printable(self.version)} is ${status.ready ? 'ready' : 'starting'}: ${summary(status)}`,
    '',
    ...renderFields([
      ['node', `${self.nickname} (${self.id})`],
      ['mesh', status.mesh],
      ['interface', `${self.ifname}, MAC ${self.mac}, MTU ${self.mtu}`],
      ...addresses.map((address, index): [string, string] => [
        index === 0 ? 'addresses' : '',
        address,
      ]),
      ['encryption', 'on'],
      ['port', `${self.port}, UDP`],
      ['process', String(self.pid)],
    ]),
    ...renderContacts(status),
    ...renderWarnings(status.warnings),
  ];
}

/** `2 nodes (this one included), 1 link established, 1 retrying`. */
function summary({ peers, links }: StatusDocument): string {
  const others = LINK_STATES.filter((state) => state !== 'established' && links[state] > 0);
  const away = peers.known - peers.reachable;
  return [
    `${plural(peers.reachable, 'node')} (this one included)`,
    `${plural(links.established, 'link')} established`,
    ...others.map((state: LinkState) => `${links[state]} ${state}`),
    ...(away > 0 ? [`${plural(away, 'known node')} not reachable`] : []),
  ].join(', ');
}

function renderContacts({ contacts }: StatusDocument): string[] {
  if (contacts.length === 0) return [];
  return [
    '',
    ...renderTable(
      [{ title: 'CONTACT' }, { title: 'STATE' }, { title: 'PEER' }, { title: 'WHY' }],
      contacts.map(({ contact, state, peer, reason }) => [
        contact,
        state,
        orDash(peer === null ? null : peer.slice(0, 8)),
        reason ?? '',
      ]),
    ),
  ];
}

export function renderWarnings(warnings: StatusDocument['warnings']): string[] {
  if (warnings.length === 0) return [];
  return [
    '',
    ...warnings.map(
      ({ code, message, cure }) =>
        `warning: ${printable(message)} (${printable(code)}). ${printable(cure)}`,
    ),
  ];
}
