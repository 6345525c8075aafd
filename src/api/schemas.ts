import { z } from 'zod';
import type {
  AddressesOutcome,
  AttachmentsDocument,
  BenchPlaceDocument,
  ConnectOutcome,
  DnsLookupDocument,
  DnsNamesDocument,
  EventDocument,
  ForgetOutcome,
  NetworksDocument,
  PathsDocument,
  PeersDocument,
  RemovalOutcome,
  ReportDocument,
  RoutesDocument,
  StatusDocument,
} from './control.js';
import { LINK_STATES, PATH_KINDS, PATH_STATES, SCHEMA_VERSION } from './control.js';

/*
 * The documents of control.ts for the side that reads them: overlayctl checks every answer before it shows it, since
 * whoever may write to the socket's directory could answer in the daemon's place. Unknown keys pass (newer daemons add
 * some); a known key of another type does not.
 */

const schema = z.literal(SCHEMA_VERSION);
const count = z.number().nonnegative();
const maybeNumber = z.number().nullable();
const maybeText = z.string().nullable();
const linkState = z.enum(LINK_STATES);
const pathKind = z.enum(PATH_KINDS);
const numbers = z.record(z.string(), z.number());

const exposures = z.looseObject({
  addresses: z.array(z.string()),
  masquerade: z.boolean(),
  name: maybeText,
});

export const statusSchema = z.looseObject({
  schema,
  ready: z.boolean(),
  self: z.looseObject({
    id: z.string(),
    nickname: z.string(),
    addresses: z.array(z.string()),
    mac: z.string(),
    ifname: z.string(),
    mtu: count,
    port: count,
    pid: count,
    version: z.string(),
  }),
  mesh: z.string(),
  encryption: z.literal(true),
  peers: z.looseObject({ known: count, reachable: count }),
  links: z.record(linkState, count),
  contacts: z.array(
    z.looseObject({
      contact: z.string(),
      state: linkState,
      peer: maybeText,
      reason: maybeText,
    }),
  ),
  warnings: z.array(z.looseObject({ code: z.string(), message: z.string(), cure: z.string() })),
  attachments: z.looseObject({ attached: count, waiting: count }).optional(),
  ipam: z
    .looseObject({
      state: z.enum(['no pool', 'ready', 'waiting']),
      pools: z.array(z.string()),
      used: count,
      lost: count,
      reserved: z.array(z.string()),
      clashes: count,
      waitingFor: z.array(z.string()),
    })
    .optional(),
  dns: z
    .looseObject({
      domain: z.string(),
      servers: z.array(z.string()),
      upstreams: z.array(z.string()),
      ttlSeconds: count,
      names: count,
    })
    .optional(),
  exposures: exposures.optional(),
  networks: z.looseObject({ known: count, used: z.array(z.string()) }).optional(),
}) satisfies z.ZodType<StatusDocument>;

const secret = z.string().regex(/^[0-9a-f]{32}$/);
const port = z.number().int().min(1).max(65_535);

export const benchPlaceSchema = z.looseObject({
  schema,
  peer: z.string(),
  nickname: z.string(),
  path: pathKind.nullable(),
  from: z.union([z.ipv4(), z.ipv6()]),
  address: z.union([z.ipv4(), z.ipv6()]),
  tcp: port,
  udp: port,
  seconds: z.number().int().min(1).max(30),
  mbps: z.number().int().min(1).max(10_000),
  token: secret,
  proof: secret,
}) satisfies z.ZodType<BenchPlaceDocument>;

export const peersSchema = z.looseObject({
  schema,
  peers: z.array(
    z.looseObject({
      id: z.string(),
      nickname: z.string(),
      self: z.boolean(),
      state: linkState,
      path: pathKind.nullable(),
      endpoint: maybeText,
      addresses: z.array(z.string()),
      cipher: maybeText,
      rttMs: maybeNumber,
      lossPct: maybeNumber,
      pmtu: maybeNumber,
      reason: maybeText,
      txBytes: count,
      rxBytes: count,
    }),
  ),
}) satisfies z.ZodType<PeersDocument>;

export const routesSchema = z.looseObject({
  schema,
  routes: z.array(
    z.looseObject({
      peer: z.string(),
      nickname: z.string(),
      path: pathKind,
      via: z.array(z.string()),
      rttMs: maybeNumber,
      lossPct: maybeNumber,
      mtu: count,
      cost: maybeNumber,
    }),
  ),
}) satisfies z.ZodType<RoutesDocument>;

export const pathsSchema = z.looseObject({
  schema,
  peer: z.string(),
  nickname: z.string(),
  active: z.number().int().nullable(),
  candidates: z.array(
    z.looseObject({
      kind: pathKind,
      endpoint: z.string(),
      state: z.enum(PATH_STATES),
      rttMs: maybeNumber,
      lossPct: maybeNumber,
      mtu: maybeNumber,
      cost: maybeNumber,
      terms: numbers,
    }),
  ),
  lastSwitch: z
    .looseObject({ at: z.string(), from: maybeText, to: maybeText, reason: z.string() })
    .nullable(),
}) satisfies z.ZodType<PathsDocument>;

/** `code` is any text here: a newer daemon may know more codes than this overlayctl. */
export const eventSchema = z.looseObject({
  seq: z.number().int(),
  at: z.string(),
  level: z.enum(['info', 'warn', 'error']),
  code: z.string(),
  message: z.string(),
  peer: z.string().optional(),
  nickname: z.string().optional(),
  endpoint: z.string().optional(),
  cure: z.string().optional(),
  count: z.number().int().optional(),
}) satisfies z.ZodType<Loose<EventDocument>>;

export const versionSchema = z.looseObject({ schema, version: z.string(), node: z.string() });

export const connectSchema = z.looseObject({
  schema,
  contacts: z.array(z.string()),
}) satisfies z.ZodType<ConnectOutcome>;

export const forgetSchema = z.looseObject({
  schema,
  removed: z.array(z.string()),
  unknown: z.array(z.string()),
}) satisfies z.ZodType<ForgetOutcome>;

export const removalSchema = z.looseObject({
  schema,
  peer: z.string(),
  nickname: z.string(),
  state: z.enum(['removed', 'waiting']),
}) satisfies z.ZodType<RemovalOutcome>;

export const attachmentsSchema = z.looseObject({
  schema,
  attachments: z.array(
    z.looseObject({
      target: z.string(),
      network: z.string(),
      ifname: z.string(),
      mac: maybeText,
      addresses: z.array(z.string()),
      name: maybeText,
      state: z.enum(['attached', 'waiting']),
      reason: maybeText,
      spoofed: z.looseObject({ mac: count, address: count }),
    }),
  ),
  exposures: z.array(exposures.extend({ network: z.string(), ifname: z.string() })).optional(),
}) satisfies z.ZodType<AttachmentsDocument>;

export const addressesSchema = z.looseObject({
  schema,
  addresses: z.array(z.string()),
}) satisfies z.ZodType<AddressesOutcome>;

export const dnsNamesSchema = z.looseObject({
  schema,
  domain: z.string(),
  servers: z.array(z.string()),
  upstreams: z.array(z.string()),
  names: z.array(
    z.looseObject({
      name: z.string(),
      network: z.string(),
      addresses: z.array(z.string()),
      peers: z.array(z.string()),
    }),
  ),
}) satisfies z.ZodType<DnsNamesDocument>;

export const dnsLookupSchema = z.looseObject({
  schema,
  answers: z.array(z.string()),
}) satisfies z.ZodType<DnsLookupDocument>;

const network = z.string().default('default');
const placed = { address: z.string(), network };

export const ipamSchema = z.looseObject({
  schema,
  pools: z.array(
    z.looseObject({
      range: z.string(),
      network,
      id: z.string(),
      titles: z.number(),
      holders: z.array(
        z.looseObject({
          id: z.string(),
          nickname: z.string(),
          self: z.boolean(),
          addresses: z.number(),
          blocks: z.number(),
          gone: z.boolean(),
          waitingFor: z.array(z.string()),
        }),
      ),
    }),
  ),
  used: z.array(z.looseObject({ ...placed, owner: z.string(), active: z.boolean() })),
  reserved: z.array(z.string()),
  clashes: z.array(z.looseObject({ ...placed, holder: z.string(), loser: z.string() })),
});

export const networksSchema = z.looseObject({
  schema,
  networks: z.array(
    z.looseObject({
      name: z.string(),
      id: count,
      subnets: z.array(z.string()),
      mtu: count,
      ifname: maybeText,
      targets: z.array(z.string()),
      peers: z.array(z.looseObject({ id: z.string(), nickname: z.string() })),
    }),
  ),
}) satisfies z.ZodType<NetworksDocument>;

export const reportSchema = z.looseObject({
  schema,
  at: z.string(),
  status: statusSchema,
  peers: peersSchema.shape.peers,
  routes: routesSchema.shape.routes,
  paths: z.array(pathsSchema),
  dataplane: z.looseObject({
    port: count,
    localAddresses: z.array(z.string()),
    suites: z.array(
      z.looseObject({ name: z.string(), provider: z.string(), nsPerPacket: z.number() }),
    ),
    offloads: z.array(z.string()),
    queuePairs: count,
  }),
  counters: numbers,
  drops: numbers,
  fdb: z.array(
    z.looseObject({
      network: count,
      mac: z.string(),
      peer: z.string(),
      declared: z.boolean(),
      ageSeconds: count,
    }),
  ),
  events: z.array(eventSchema),
  attachments: attachmentsSchema.shape.attachments.optional(),
  ipam: ipamSchema.omit({ schema: true }).optional(),
  dns: dnsNamesSchema.omit({ schema: true }).optional(),
  exposures: exposures.optional(),
  networks: networksSchema.shape.networks.optional(),
}) satisfies z.ZodType<Omit<ReportDocument, 'events'>>;

export const resetSchema = z.looseObject({ schema, reset: z.literal(true) });

export const errorSchema = z.looseObject({
  error: z.looseObject({
    code: z.string(),
    message: z.string(),
    value: z.string(),
    cure: z.string(),
  }),
});

/** What arrives of an event: the code is text, an absent field may be spelt undefined. */
type Loose<T> = { [K in keyof T]: K extends 'code' ? string : T[K] | undefined };
