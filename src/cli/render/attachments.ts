import type { AttachmentsDocument } from '../../api/control.js';
import { renderFitting } from './table.js';
import { orDash } from './text.js';

/** @param width of the terminal, if it is one */
export function renderAttachments(
  { attachments, exposures = [] }: Pick<AttachmentsDocument, 'attachments' | 'exposures'>,
  width?: number,
): string[] {
  if (attachments.length === 0 && exposures.length === 0) {
    return ['Nothing is attached on this host.'];
  }
  return renderFitting(
    [
      { title: 'TARGET' },
      { title: 'NETWORK', yields: 1 },
      { title: 'INTERFACE', yields: 3 },
      { title: 'MAC', yields: 4 },
      { title: 'ADDRESSES' },
      { title: 'NAME', yields: 2 },
      { title: 'STATE' },
      { title: 'WHY', isProse: true },
    ],
    [
      ...attachments.map((attachment) => [
        attachment.target,
        attachment.network,
        attachment.ifname,
        orDash(attachment.mac),
        orDash(attachment.addresses.join(' ')),
        orDash(attachment.name),
        attachment.state,
        attachment.reason ?? '',
      ]),
      ...exposures.map(({ network, ifname, addresses, name }) => [
        '(this host)',
        ...[network, ifname, '-', addresses.join(' '), orDash(name), 'exposed', ''],
      ]),
    ],
    width,
  );
}
