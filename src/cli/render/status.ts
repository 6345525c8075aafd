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
      ['port', `${self.port}, UDP and TCP`],
      ['process', String(self.pid)],
      ...sections(status),
    ]),
    ...renderContacts(status),
    ...renderWarnings(status.warnings),
  ];
}

/** One line a part, shorter than its own verb tells it. */
function sections(status: StatusDocument): [string, string][] {
  const { attachments, ipam, dns, exposures, networks } = status;
  const lines: [string, string][] = [];
  if (attachments && attachments.attached + attachments.waiting > 0) {
    const { attached, waiting } = attachments;
    lines.push(['targets', `${attached} attached${waiting > 0 ? `, ${waiting} waiting` : ''}`]);
  }
  if (networks && networks.known > 1) {
    const { known, used } = networks;
    lines.push(['networks', `${known}, in use here: ${['default', ...used].join(', ')}`]);
  }
  if (exposures && exposures.addresses.length > 0) {
    const { addresses, masquerade, name } = exposures;
    const how = [masquerade ? 'masqueraded' : 'not masqueraded', ...(name ? [`as ${name}`] : [])];
    lines.push(['exposed', `${addresses.join(', ')} (${how.join(', ')})`]);
  }
  if (ipam) {
    const { state, pools, used, lost, reserved, clashes, waitingFor } = ipam;
    const facts = [
      state === 'no pool' ? 'none yet' : pools.join(', '),
      `${plural(used, 'address', 'addresses')} in use here`,
      ...(lost > 0 ? [`${lost} of them another's now`] : []),
      ...(reserved.length > 0 ? [`reserved ${reserved.join(' ')}`] : []),
      ...(clashes > 0 ? [`${clashes} used twice`] : []),
      ...(waitingFor.length > 0 ? [`waiting for ${waitingFor.join(', ')}`] : []),
    ];
    lines.push(['pool', facts.join('; ')]);
  }
  if (dns) {
    const { domain, servers, upstreams, names } = dns;
    const where =
      servers.length === 0
        ? 'not answered on this host'
        : `answered on ${[...new Set(servers)].join(', ')}; others asked at ${upstreams.join(', ') || 'nobody'}`;
    lines.push(['names', `${names} in ${domain}, ${where}`]);
  }
  return lines;
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
