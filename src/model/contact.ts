import ipaddr from 'ipaddr.js';

/** Somewhere to dial, as a person names it: a literal address or a host name, and a port. */
export interface Contact {
  /** Canonical: `host:port` or `[v6]:port`, the port always present. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
}

const LABEL = /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/;

/** Parses `host`, `host:port`, `v6`, `[v6]` or `[v6]:port`. */
export function parseContact(text: string, defaultPort: number): Contact | undefined {
  const trimmed = text.trim();
  if (ipaddr.IPv6.isValid(trimmed)) return makeContact(trimmed, defaultPort);
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(trimmed);
  if (!match) return undefined;
  const [, v6, name, portText] = match;
  if (v6 !== undefined && !ipaddr.IPv6.isValid(v6)) return undefined;
  return makeContact(v6 ?? name ?? '', portText === undefined ? defaultPort : Number(portText));
}

function makeContact(host: string, port: number): Contact | undefined {
  if (port < 1 || port > 65_535) return undefined;
  if (ipaddr.IPv6.isValid(host)) {
    const parsed = ipaddr.process(host);
    if (parsed.kind() === 'ipv4') return { text: `${parsed.toString()}:${port}`, host, port };
    const canonical = (parsed as ipaddr.IPv6).toRFC5952String();
    return { text: `[${canonical}]:${port}`, host: canonical, port };
  }
  const isDotted = /^[0-9.]+$/.test(host);
  if (isDotted && !ipaddr.IPv4.isValidFourPartDecimal(host)) return undefined;
  const isName =
    host.length <= 253 &&
    host
      .replace(/\.$/, '')
      .split('.')
      .every((part) => LABEL.test(part));
  if (!isDotted && !isName) return undefined;
  const canonical = host.toLowerCase();
  return { text: `${canonical}:${port}`, host: canonical, port };
}
