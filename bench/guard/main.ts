import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Baseline, type PacketCost, judge } from './baseline.js';

/* Judges what bench/native/guard did under callgrind. Run by scripts/perf-check.sh, which has the usage. */

const { values } = parseArgs({
  options: {
    /** Directory with callgrind's files (`callgrind.<load>`) and `calls`, the output of the guard. */
    from: { type: 'string', default: '.' },
    baseline: { type: 'string', default: 'bench/baseline.json' },
    compiler: { type: 'string', default: 'unknown compiler' },
    update: { type: 'boolean', default: false },
  },
});

/** Instructions counted while this load ran. */
async function instructions(directory: string, load: string): Promise<number> {
  const text = await readFile(join(directory, `callgrind.${load}`), 'utf8');
  const total = Number(/^totals: (\d+)$/m.exec(text)?.[1]);
  if (!(total > 0)) throw new Error(`callgrind counted nothing for ${load}`);
  return total;
}

async function costs(directory: string): Promise<Record<string, PacketCost>> {
  const out: Record<string, PacketCost> = {};
  for (const line of (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n')) {
    const [load = '', ...figures] = line.split(' ');
    const [packets = 0, tapCalls = 0, udpCalls = 0] = figures.map(Number);
    const total = await instructions(directory, load);
    out[load] = {
      instructions: Math.round(total / packets),
      calls: Number(((tapCalls + udpCalls) / packets).toPrecision(3)),
    };
  }
  return out;
}

/** By processor architecture. */
type Baselines = Record<string, Baseline>;

async function main(): Promise<number> {
  const loads = await costs(values.from);
  const baselines = JSON.parse(await readFile(values.baseline, 'utf8')) as Baselines;
  if (values.update) {
    baselines[process.arch] = { compiler: values.compiler, loads };
    await writeFile(values.baseline, JSON.stringify(baselines, null, 2) + '\n');
  }
  const baseline = baselines[process.arch] ?? { compiler: 'none', loads: {} };
  const verdicts = judge(loads, baseline.loads);
  for (const { load, figure, now, before, complaint } of verdicts) {
    const mark = complaint === undefined ? 'ok  ' : 'FAIL';
    const words = [mark, load.padEnd(17), `${figure} per packet`.padEnd(25), String(now).padEnd(8)];
    console.log([...words, `baseline ${String(before)}`, complaint ?? ''].join(' ').trimEnd());
  }
  const failed = verdicts.filter(({ complaint }) => complaint !== undefined).length;
  if (failed > 0) {
    console.log(`baseline made by ${baseline.compiler}, this by ${values.compiler}`);
    console.log('If it is worth its price: scripts/perf-check.sh --update, and say why');
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
