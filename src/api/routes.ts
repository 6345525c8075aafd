import { z } from 'zod';
import type { DaemonControl } from './control.js';
import { SCHEMA_VERSION } from './control.js';
import { badRequest } from './http-error.js';
import { productVersion } from './version.js';

/*
 * method  path               answer
 * GET     /v1/status         StatusDocument
 * GET     /v1/peers          PeersDocument
 * GET     /v1/routes         RoutesDocument
 * GET     /v1/paths/<peer>   PathsDocument
 * GET     /v1/report         ReportDocument
 * GET     /v1/version        {schema, version, node, pid}
 * GET     /v1/events         JSON lines; ?after=<seq> newer ones only, ?follow=1 does not end
 * POST    /v1/connect        {contacts} -> {schema, contacts}
 * POST    /v1/forget         {contacts} -> {schema, removed, unknown}
 * POST    /v1/peer/remove    {peer, force?} -> {schema, peer, nickname, state}
 * GET     /v1/ps             AttachmentsDocument
 * POST    /v1/attach         AttachRequest -> {schema, addresses}
 * POST    /v1/detach         {target, addresses, network} -> {schema, addresses}
 * POST    /v1/bench          {peer, seconds, mbps} -> BenchPlaceDocument
 * POST    /v1/expose         ExposeBody -> {schema, addresses}
 * POST    /v1/hide           {addresses, network} -> {schema, addresses}
 * GET     /v1/dns            DnsNamesDocument; ?network=<name> of that one alone
 * GET     /v1/dns/<name>     DnsLookupDocument; ?network=<name> alike
 * POST    /v1/dns/add        {name, addresses, network} -> {schema, addresses}
 * POST    /v1/dns/remove     {name, addresses, network} -> {schema, addresses}
 * GET     /v1/ipam           IpamDocument; ?network=<name> of that one alone
 * POST    /v1/ipam/reserve   {value: address or range, except: [...], network} -> IpamDocument
 * POST    /v1/ipam/release   {value: address or range, network} -> IpamDocument
 * POST    /v1/ipam/pool      {value: range, network} -> IpamDocument; pool/remove alike
 * GET     /v1/networks       NetworksDocument
 * POST    /v1/networks/create  {name, subnets, mtu} -> NetworksDocument of that one
 * POST    /v1/networks/remove  {value: name} -> NetworksDocument
 * POST    /v1/reset          {} -> {schema, reset: true}; the daemon stops behind the answer
 */

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown;
}

export type ApiAnswer =
  | { readonly kind: 'document'; readonly document: object }
  | { readonly kind: 'events'; readonly after: number; readonly follow: boolean };

const contactsBody = z.strictObject({
  contacts: z.array(z.string().min(1).max(300)).min(1).max(64),
});
const text = z.string().min(1).max(1100);
const attachBody = z.strictObject({
  target: text,
  addresses: z.array(text).max(64),
  network: text.optional(),
  ifname: text.optional(),
  name: text.optional(),
  dns: z.boolean().optional(),
  mac: text.optional(),
  gateway: text.optional(),
  routes: z.array(text).max(64).optional(),
  mtu: z.number().int().nonnegative().optional(),
});
const detachBody = attachBody.pick({ target: true, addresses: true, network: true });
const removalBody = z.strictObject({ peer: text, force: z.boolean().optional() });
const benchBody = z.strictObject({
  peer: text,
  seconds: z.number().int().min(1).max(30),
  mbps: z.number().int().min(1).max(10_000),
});
const hideBody = attachBody.pick({ addresses: true, network: true });
const exposeBody = hideBody.extend({
  masquerade: z.boolean().optional(),
  name: text.optional(),
});
const dnsBody = z.strictObject({
  name: text,
  addresses: z.array(text).max(64),
  network: text.optional(),
});
const valueBody = z.strictObject({ value: text });
const ipamBody = valueBody.extend({ network: text.optional() });
const reserveBody = ipamBody.extend({ except: z.array(text).max(64).optional() });
const dnsAddBody = dnsBody.extend({ addresses: z.array(text).min(1).max(64) });
const networkBody = z.strictObject({
  name: text,
  subnets: z.array(text).max(64).optional(),
  mtu: z.number().int().nonnegative().optional(),
});
const emptyBody = z.strictObject({}).optional();
const noQuery: readonly string[] = [];

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query: readonly string[];
  readonly answer: (
    control: DaemonControl,
    request: ApiRequest,
    rest: string,
  ) => Promise<ApiAnswer> | ApiAnswer;
}

/** A path that ends in a slash takes one more segment, handed over as `rest`. */
const ROUTES: readonly Route[] = [
  get('/v1/status', (control) => control.status()),
  get('/v1/peers', (control) => control.peers()),
  get('/v1/routes', (control) => control.routes()),
  get('/v1/paths/', (control, peer) => control.paths(peer)),
  get('/v1/report', (control) => control.report()),
  get('/v1/version', () => ({
    schema: SCHEMA_VERSION,
    version: productVersion(),
    node: process.version,
    pid: process.pid,
  })),
  {
    method: 'GET',
    path: '/v1/events',
    query: ['after', 'follow'],
    answer: (_control, { query }) => ({
      kind: 'events',
      after: queryNumber(query, 'after'),
      follow: queryNumber(query, 'follow') === 1,
    }),
  },
  post('/v1/connect', async (control, body) => {
    const { contacts } = parseBody(contactsBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.connect(contacts)) };
  }),
  post('/v1/forget', async (control, body) => {
    const { contacts } = parseBody(contactsBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.forget(contacts)) };
  }),
  post('/v1/peer/remove', async (control, body) => {
    const { peer, force = false } = parseBody(removalBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.removePeer(peer, force)) };
  }),
  get('/v1/ps', (control) => control.attachments()),
  post('/v1/attach', async (control, body) => ({
    schema: SCHEMA_VERSION,
    ...(await control.attach(parseBody(attachBody, body))),
  })),
  post('/v1/detach', async (control, body) => {
    const { target, addresses, network } = parseBody(detachBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.detach(target, addresses, network)) };
  }),
  post('/v1/bench', (control, body) => {
    const { peer, ...wish } = parseBody(benchBody, body);
    return control.bench(peer, wish);
  }),
  post('/v1/expose', async (control, body) => ({
    schema: SCHEMA_VERSION,
    ...(await control.expose(parseBody(exposeBody, body))),
  })),
  post('/v1/hide', async (control, body) => {
    const { addresses, network } = parseBody(hideBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.hide(addresses, network)) };
  }),
  getOf('/v1/dns', (control, _rest, network) => control.dnsNames(network)),
  getOf('/v1/dns/', (control, name, network) => control.dnsLookup(name, network)),
  post('/v1/dns/add', async (control, body) => {
    const { name, addresses, network } = parseBody(dnsAddBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.dnsAdd(name, addresses, network)) };
  }),
  post('/v1/dns/remove', async (control, body) => {
    const { name, addresses, network } = parseBody(dnsBody, body);
    return { schema: SCHEMA_VERSION, ...(await control.dnsRemove(name, addresses, network)) };
  }),
  getOf('/v1/ipam', (control, _rest, network) => control.ipam(network)),
  post('/v1/ipam/reserve', async (control, body) => {
    const { value, except = [], network } = parseBody(reserveBody, body);
    await control.reserveAddress(value, except, network);
    return control.ipam(network);
  }),
  post('/v1/ipam/release', async (control, body) => {
    const { value, network } = parseBody(ipamBody, body);
    await control.releaseAddress(value, network);
    return control.ipam(network);
  }),
  post('/v1/ipam/pool', async (control, body) => {
    const { value, network } = parseBody(ipamBody, body);
    await control.addPool(value, network);
    return control.ipam(network);
  }),
  post('/v1/ipam/pool/remove', async (control, body) => {
    const { value, network } = parseBody(ipamBody, body);
    await control.removePool(value, network);
    return control.ipam(network);
  }),
  get('/v1/networks', (control) => control.networks()),
  post('/v1/networks/create', async (control, body) => ({
    schema: SCHEMA_VERSION,
    networks: [await control.createNetwork(parseBody(networkBody, body))],
  })),
  post('/v1/networks/remove', async (control, body) => {
    await control.removeNetwork(parseBody(valueBody, body).value);
    return control.networks();
  }),
  post('/v1/reset', async (control, body) => {
    parseBody(emptyBody, body);
    await control.reset();
    return { schema: SCHEMA_VERSION, reset: true };
  }),
];

/** @throws OVL_API_REQUEST, and whatever the daemon refuses with */
export async function answerRequest(
  control: DaemonControl,
  request: ApiRequest,
): Promise<ApiAnswer> {
  const atPath = ROUTES.filter((route) => restOf(route, request.path) !== undefined);
  if (atPath.length === 0) {
    throw badRequest(`There is no ${request.path}`, {
      value: request.path,
      status: 404,
      cure: `Paths: ${ROUTES.map((route) => route.path).join(' ')}.`,
    });
  }
  const route = atPath.find(({ method }) => method === request.method);
  if (route === undefined) {
    throw badRequest(`${request.path} does not take ${request.method}`, {
      value: request.method,
      status: 405,
      cure: `Use ${atPath.map(({ method }) => method).join(' or ')}.`,
    });
  }
  for (const key of request.query.keys()) {
    if (route.query.includes(key)) continue;
    throw badRequest(`${route.path} has no parameter '${key}'`, {
      value: key,
      cure: route.query.length === 0 ? 'It takes none.' : `Parameters: ${route.query.join(', ')}.`,
    });
  }
  return route.answer(control, request, restOf(route, request.path) ?? '');
}

function get(path: string, read: (control: DaemonControl, rest: string) => object): Route {
  return {
    method: 'GET',
    path,
    query: noQuery,
    answer: (control, _request, rest) => ({ kind: 'document', document: read(control, rest) }),
  };
}

/** What may be asked of one network alone. */
function getOf(
  path: string,
  read: (control: DaemonControl, rest: string, network: string | undefined) => object,
): Route {
  return {
    method: 'GET',
    path,
    query: ['network'],
    answer: (control, { query }, rest) => ({
      kind: 'document',
      document: read(control, rest, query.get('network')),
    }),
  };
}

function post(
  path: string,
  act: (control: DaemonControl, body: unknown) => Promise<object>,
): Route {
  return {
    method: 'POST',
    path,
    query: noQuery,
    answer: async (control, { body }) => ({
      kind: 'document',
      document: await act(control, body),
    }),
  };
}

function restOf(route: Route, path: string): string | undefined {
  if (!route.path.endsWith('/')) return route.path === path ? '' : undefined;
  if (!path.startsWith(route.path)) return undefined;
  const rest = path.slice(route.path.length);
  if (rest === '' || rest.includes('/')) return undefined;
  try {
    return decodeURIComponent(rest);
  } catch {
    return undefined;
  }
}

function queryNumber(query: ReadonlyMap<string, string>, key: string): number {
  const text = query.get(key);
  if (text === undefined) return 0;
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(`Parameter ${key} is '${text}', a whole number is wanted`, {
      value: text,
      cure: `For example ${key}=1.`,
    });
  }
  return Number(text);
}

function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'body' : issue.path.join('.');
  throw badRequest(`The request's ${where} is not as it must be: ${issue?.message ?? 'unknown'}`, {
    value: where,
    cure: 'Send JSON like {"contacts":["192.0.2.1:6783"]}.',
  });
}
