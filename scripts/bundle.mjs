import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { build } from 'esbuild';

/*
 * Joins what tsc made of each program, with the packages that it needs, into one file: dist/src/bundle/. Names, lines
 * and the names of the files stay as they are, so that a stack trace can be read; beside it is a source map for
 * debuggers. As deep in dist/ as the modules are, since some find the addon and package.json from where they lie.
 */

const root = join(import.meta.dirname, '..');
const folder = join(root, 'dist', 'src', 'bundle');
/** They have native parts, or are wanted at a terminal only. */
const external = ['lmdb', 'msgpackr', 'pino-pretty'];
/** Flags of scripts/overlayd and scripts/setup.sh: V8 takes only what was compiled under the same. */
const programs = { overlayd: ['--optimize-for-size', '--single-threaded-gc'], overlayctl: [] };

mkdirSync(folder, { recursive: true });
for (const [program, flags] of Object.entries(programs)) {
  const file = join(folder, `${program}.cjs`);
  const { outputFiles } = await build({
    absWorkingDir: root,
    // Imported, not named as the entry point: the line that begins with #! would stay.
    stdin: { contents: `import './dist/src/bin/${program}.js';`, resolveDir: root },
    outfile: file,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external,
    charset: 'ascii',
    sourcemap: 'linked',
    sourcesContent: false,
    // Scripts that vm compiles have no import().
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });
  // First of all: V8 knows what belongs to a file by its length only.
  rmSync(`${file}.v8`, { force: true });
  for (const { path, contents } of outputFiles) {
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
  execFileSync(execPath, [...flags, join(root, 'scripts', 'start.cjs'), '--make-cache', program], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
