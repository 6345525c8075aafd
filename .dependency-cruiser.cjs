/*
 * Who may import whom between the rooms of src/ (docs/architecture.md). An arrow goes down only:
 *
 *   bin -> cli, api, daemon -> workload, dns, link, records, routing, ipam, ethernet, crypto, netdev, dataplane
 *       -> wire -> model -> base
 *
 * A port is the exception: the rooms on both sides of it speak its types.
 */

const from = (room) => ({ path: `^src/${room}/` });
const DATAPLANE_PORT = '^src/dataplane/dataplane\\.ts$';
const HOST_PORTS = '^src/daemon/ports\\.ts$';
const OS_PORT = '^src/daemon/os-port\\.ts$';

/** What a room may import besides itself. Rooms that are not named here may be imported by daemon and bin only. */
const MAY = {
  base: [],
  model: ['base'],
  wire: ['base', 'model'],
  crypto: ['base', 'model', 'wire'],
  link: ['base', 'model', 'wire'],
  records: ['base', 'model', 'wire'],
  routing: ['base', 'model', 'wire'],
  relay: ['base', 'model', 'wire', 'routing'],
  ipam: ['base', 'model', 'wire'],
  networks: ['base', 'model', 'wire'],
  ethernet: ['base', 'model', 'wire'],
  dns: ['base', 'model', 'wire'],
  netdev: ['base', 'model'],
  dataplane: ['base', 'model'],
  workload: ['base', 'model', 'netdev', 'ipam'],
  api: ['base', 'model'],
  cli: ['base', 'model', 'api', 'load'],
  integrations: ['base', 'model', 'api'],
  load: ['base', 'model'],
};

const PORTS = {
  crypto: [DATAPLANE_PORT],
  link: [DATAPLANE_PORT],
  ethernet: [DATAPLANE_PORT],
  dns: [HOST_PORTS],
  load: [HOST_PORTS],
  netdev: [HOST_PORTS],
  dataplane: [OS_PORT],
};

const layers = Object.entries(MAY).map(([room, allowed]) => ({
  name: `layer-${room}`,
  comment: `src/${room} may import ${allowed.join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: from(room),
  to: {
    path: '^src/',
    pathNot: [...[room, ...allowed].map((name) => `^src/${name}/`), ...(PORTS[room] ?? [])],
  },
}));

module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'daemon-knows-no-front-end',
      severity: 'error',
      from: from('daemon'),
      to: { path: '^src/(bin|cli)/' },
    },
    {
      name: 'nobody-imports-bin',
      severity: 'error',
      from: { pathNot: '^src/bin/' },
      to: { path: '^src/bin/' },
    },
    {
      name: 'only-native-loads-the-addon',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/dataplane/native\\.ts$' },
      to: { path: '\\.node$|^build/' },
    },
    {
      name: 'only-composition-picks-a-data-plane',
      comment: 'everything else takes the port',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(bin|dataplane)/' },
      to: { path: '^src/dataplane/(native|fake)' },
    },
    {
      name: 'product-knows-no-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    {
      name: 'product-uses-no-dev-dependency',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^(src|test|bench)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
