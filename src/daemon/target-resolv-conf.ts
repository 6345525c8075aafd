import { readFileSync } from 'node:fs';

import { parseResolvConf, renderResolvConf } from '../dns/resolv-conf.js';
import { serversFor } from '../workload/name-servers.js';
import type { Attachment } from '../workload/model.js';
import type { NameServer } from '../workload/ports.js';

/**
 * Contents of the resolv.conf of each named namespace that asks us, by its name: our servers, our domain before those of
 * the host, and the host's options. A link-local IPv6 server is asked through the attachment's interface. Of a namespace
 * on several networks the server of the first one is asked: each knows the names of its own network only.
 */
export function resolvConfOf(
  attached: readonly Attachment[],
  serversOf: (network: string) => readonly NameServer[],
  domain: string,
  hostFile: string,
): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const host = parseResolvConf(readText(hostFile));
  for (const attachment of attached) {
    const { target, ifName } = attachment;
    const own = serversFor(attachment, serversOf(attachment.network));
    if (target.kind !== 'netns' || own.length === 0 || files.has(target.name)) continue;
    const content = renderResolvConf({
      nameservers: own.map(({ address }) =>
        address.includes(':') ? `${address}%${ifName}` : address,
      ),
      search: [domain, ...host.search.filter((other) => other !== domain)],
      options: host.options,
    });
    files.set(target.name, content);
  }
  return files;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
