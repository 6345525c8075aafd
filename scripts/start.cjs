'use strict';

/*
 * Starts a program of dist/: overlayd or overlayctl.
 *
 *   node [flags] scripts/start.cjs <program> [argument...]
 *   node [flags] scripts/start.cjs --make-cache <program>    what bundle.mjs does last
 *
 * Most of what a start costs is the loading of some hundreds of modules: 300 of 440 ms of CPU time for overlayd. So
 * scripts/bundle.mjs joins them, and puts beside that file what V8 compiled of it. V8 takes this only from its own
 * version under the same flags, and compiles the file otherwise. Where there is no file, where it is older than dist/
 * (tsc alone ran), and with OVERLAYD_DEBUG=1 the modules themselves are run.
 */

const { chmodSync, readFileSync, renameSync, statSync, writeFileSync } = require('node:fs');
const Module = require('node:module');
const { dirname, join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const isMaking = process.argv[2] === '--make-cache';
const program = process.argv[isMaking ? 3 : 2];
const dist = join(__dirname, '..', 'dist');
const bundle = join(dist, 'src', 'bundle', `${program}.cjs`);
const modules = join(dist, 'src', 'bin', `${program}.js`);
const cacheFile = `${bundle}.v8`;

/*
 * Has V8 optimise later: in a daemon's first minute that costs more than it saves (a sixth of its CPU time). Before
 * anything is compiled, since a function has its budget from when it is made.
 *
 * Not on the command line: node does not start with a flag that it does not know, and newer V8s name it otherwise.
 */
if (program === 'overlayd' && process.versions.v8.startsWith('11.')) {
  setFlagsFromString('--interrupt-budget=1000000');
}

function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function isCurrent() {
  const made = statSync(bundle, { throwIfNoEntry: false });
  const compiled = statSync(join(dist, '.tsbuildinfo'), { throwIfNoEntry: false });
  return made !== undefined && made.mtimeMs >= (compiled?.mtimeMs ?? 0);
}

/** The bundle as a CommonJS module of its own. */
function compile(cachedData) {
  // All of it is ASCII (bundle.mjs), which needs no decoding.
  const source = Module.wrap(readFileSync(bundle, 'latin1'));
  return new Script(source, { filename: bundle, cachedData });
}

function start(script) {
  const module = new Module(bundle);
  module.filename = bundle;
  module.paths = Module._nodeModulePaths(dirname(bundle));
  const require = Module.createRequire(bundle);
  script
    .runInThisContext()
    .call(module.exports, module.exports, require, module, bundle, dirname(bundle));
}

if (isMaking) {
  process.argv.splice(1, 3, modules, '--version');
  const script = compile();
  // At the end: then it also has the functions that loading runs, which V8 compiles when they are first called.
  process.on('exit', () => {
    writeFileSync(`${cacheFile}.new`, script.createCachedData());
    chmodSync(`${cacheFile}.new`, 0o644); // overlayd has a umask of its own
    renameSync(`${cacheFile}.new`, cacheFile);
  });
  start(script);
} else {
  process.argv.splice(1, 2, modules);
  if (process.env.OVERLAYD_DEBUG !== '1' && isCurrent()) start(compile(readIfThere(cacheFile)));
  else void import(pathToFileURL(modules).href);
}
