/*
 * The flags of overlayd, once: the command line, the configuration file and the help are all made from this table.
 */

export interface Flag {
  /** As after `--` and as key of the configuration file. */
  readonly name: string;
  /** `text` takes one value, `list` one at each repetition, `switch` none. */
  readonly kind: 'text' | 'list' | 'switch';
  /** Placeholder of the value in the help. */
  readonly value?: string;
  readonly help: string;
}

export const FLAGS = [
  { name: 'password', kind: 'text', value: 'text', help: "the mesh's password (better: a file)" },
  {
    name: 'password-file',
    kind: 'text',
    value: 'file',
    help: 'file with the password, - for standard input',
  },
  {
    name: 'peer',
    kind: 'list',
    value: 'host[:port]',
    help: 'first contact; may be repeated, also given without --peer',
  },
  { name: 'mesh', kind: 'text', value: 'name', help: 'name of the mesh (default: default)' },
  { name: 'port', kind: 'text', value: 'n', help: 'UDP and TCP port (default: 6783)' },
  {
    name: 'bind',
    kind: 'list',
    value: 'ip',
    help: 'listen on this address only; may be repeated (default: all)',
  },
  {
    name: 'advertise',
    kind: 'list',
    value: 'host[:port]',
    help: 'tell peers this endpoint; may be repeated',
  },
  { name: 'nickname', kind: 'text', value: 'text', help: 'label of this node (default: hostname)' },
  {
    name: 'state-dir',
    kind: 'text',
    value: 'dir',
    help: 'identity and memory (default: /var/lib/overlayd)',
  },
  {
    name: 'socket',
    kind: 'text',
    value: 'path',
    help: 'control socket (default: /run/overlayd/overlayd.sock, in another state directory <state-dir>/overlayd.sock)',
  },
  {
    name: 'ifname',
    kind: 'text',
    value: 'name',
    help: 'bridge of the default network, at most 13 characters (default: overlay0)',
  },
  {
    name: 'address',
    kind: 'text',
    value: 'cidr|auto|none',
    help: "this node's own address (default: auto)",
  },
  { name: 'mtu', kind: 'text', value: 'bytes', help: 'of the default network (default: 1388)' },
  {
    name: 'ipalloc-range',
    kind: 'text',
    value: 'cidr',
    help: 'address pool, the same on all nodes (default: 10.32.0.0/12)',
  },
  {
    name: 'ipalloc-default-subnet',
    kind: 'text',
    value: 'cidr',
    help: 'where addresses come from when none is asked for (default: the range)',
  },
  {
    name: 'ipam-lease',
    kind: 'text',
    value: 'time|never',
    help: 'silence after which addresses of a peer are free (default: 24h)',
  },
  { name: 'no-discovery', kind: 'switch', help: 'use only the peers given' },
  { name: 'no-relay', kind: 'switch', help: 'do not carry traffic of others' },
  {
    name: 'allow-bench',
    kind: 'switch',
    help: "let peers measure the path to this node with load ('overlayctl bench')",
  },
  {
    name: 'cipher',
    kind: 'text',
    value: 'list',
    help: 'allowed ciphers: aes256gcm, chacha20poly1305, xsalsa20poly1305 (default: fastest common)',
  },
  {
    name: 'dns-domain',
    kind: 'text',
    value: 'name',
    help: 'domain of names (default: overlay.internal)',
  },
  { name: 'no-dns', kind: 'switch', help: 'no name service' },
  {
    name: 'log-level',
    kind: 'text',
    value: 'level',
    help: 'debug, info, warn or error (default: info)',
  },
  {
    name: 'config',
    kind: 'text',
    value: 'file',
    help: 'JSON object of these flags without --; the command line wins',
  },
] as const satisfies readonly Flag[];

export type FlagName = (typeof FLAGS)[number]['name'];

/** What was given, per flag; a switch is given by the empty list. Order of a list is kept. */
export type GivenFlags = ReadonlyMap<FlagName, readonly string[]>;

export function findFlag(name: string): (Flag & { readonly name: FlagName }) | undefined {
  return FLAGS.find((flag) => flag.name === name);
}
