import js from '@eslint/js';
import ts from 'typescript-eslint';

/*
 * Beside the usual rules, docs/architecture.md "Who may know whom" as far as one file shows it: which globals and
 * which modules of Node a room may touch. Who imports whom between rooms is in .dependency-cruiser.cjs.
 */

/** Rooms that are functions of their input: no clock, no I/O, no process. */
const PURE = [
  'crypto',
  'link',
  'records',
  'routing',
  'ipam',
  'ethernet',
  'networks',
  'wire',
].concat('model', 'base');
/** Of src/dns all but what has sockets. */
const PURE_DNS = ['answer', 'client-rate', 'constants', 'name', 'query', 'records', 'resolv-conf']
  .concat('stream', 'zone')
  .map((file) => `src/dns/${file}.ts`);
const PURE_FILES = [...PURE.map((room) => `src/${room}/**/*.ts`), ...PURE_DNS];

const TIMERS = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval'].map(
  (name) => ({ name, message: 'Only the loop arms timers: give a deadline, or take Timers.' }),
);
const CLOCKS = [
  'NewExpression[callee.name="Date"][arguments.length=0]',
  'CallExpression[callee.name="Date"]',
  'MemberExpression[object.name="Date"][property.name="now"]',
  'MemberExpression[object.name="performance"]',
  'MemberExpression[object.name="process"][property.name="hrtime"]',
].map((selector) => ({
  selector,
  message: 'Only base/clock reads time: take a Clock or nowMs.',
}));
const PROCESS = [
  { object: 'process', property: 'exit', message: 'Only bin/ ends the process.' },
  { object: 'process', property: 'env', message: 'Only bin/ reads the environment.' },
  { object: 'process', property: 'argv', message: 'Only bin/ reads the arguments.' },
  { object: 'Math', property: 'random', message: 'Take an Rng.' },
];
const CHILDREN = {
  group: ['node:child_process', 'child_process'],
  message: 'Only netdev/ runs programs.',
};
const TIMER_MODULES = {
  group: ['node:timers', 'node:timers/promises'],
  message: 'Only the loop arms timers: take Timers.',
};
const NODE_IO = {
  regex: '^node:(?!(assert|assert/strict|buffer|util|crypto|url|path)$)',
  message: 'This room is pure: bytes and values in, bytes and values out.',
};

const pattern = (...patterns) => ['error', { patterns }];

export default ts.config(
  { ignores: ['dist/', 'build/', 'build-*/', 'node_modules/', '**/*.cjs'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [ts.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-properties': ['error', ...PROCESS],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // An async method may have nothing to wait for: the port it implements decides.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'no-restricted-imports': pattern(CHILDREN, TIMER_MODULES) },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/base/*clock*.ts', 'src/daemon/loop.ts', 'src/daemon/*timers*.ts', 'src/bin/**'],
    rules: { 'no-restricted-syntax': ['error', ...CLOCKS] },
  },
  {
    files: PURE_FILES,
    // The system clock, rng and logger are where base meets the machine.
    ignores: [
      'src/base/system-*.ts',
      'src/base/*clock*.ts',
      'src/base/*rng*.ts',
      'src/base/log*.ts',
    ],
    rules: {
      'no-restricted-globals': [
        'error',
        ...TIMERS,
        { name: 'process', message: 'This room is pure.' },
      ],
      'no-restricted-imports': pattern(CHILDREN, TIMER_MODULES, NODE_IO),
    },
  },
  { files: ['src/netdev/**/*.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['src/bin/**/*.ts'],
    rules: {
      'no-console': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-imports': pattern(CHILDREN),
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-console': 'off',
      'no-restricted-properties': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      // mocha's describe and it return promises to nobody.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: ['describe', 'it'] },
      ],
    },
  },
);
