import type { AttachmentsDocument } from '../../api/control.js';
import { renderTable } from './table.js';
import { orDash } from './text.js';

export function renderAttachments({
  attachments,
}: Pick<AttachmentsDocument, 'attachments'>): string[] {
  if (attachments.length === 0) return ['Nothing is attached on this host.'];
  return renderTable(
    ['TARGET', 'NETWORK', 'INTERFACE', 'MAC', 'ADDRESSES', 'NAME', 'STATE', 'WHY'].map((title) => ({
      title,
    })),
    attachments.map((attachment) => [
      attachment.target,
      attachment.network,
      attachment.ifname,
      orDash(attachment.mac),
      orDash(attachment.addresses.join(' ')),
      orDash(attachment.name),
      attachment.state,
      attachment.reason ?? '',
    ]),
  );
}
