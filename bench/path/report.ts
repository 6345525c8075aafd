import { cpus, release } from 'node:os';
import { must } from '../../test/netns/lib/exec.js';
import type { Comparison, Contestant, ScenarioFitness } from './run.js';
import type { Figure, Scenario } from './scenarios.js';
import { IDLE_MB, LOADED_MB, verdict } from './targets.js';

/** Something that did not come up or could not be measured, and why. */
export interface Absence {
  readonly name: string;
  readonly reason: string;
}

export interface Report {
  readonly schema: 3;
  readonly at: string;
  readonly machine: string;
  readonly commit: string;
  readonly options: { readonly pairs: number; readonly seconds: number };
  /** The machine held still in every scenario. */
  readonly isFit: boolean;
  readonly fitness: readonly ScenarioFitness[];
  readonly systems: readonly System[];
  readonly absent: readonly Absence[];
  readonly comparisons: readonly Comparison[];
}

/** MB a process; undefined for what lives in the kernel. */
export interface System {
  readonly name: string;
  readonly description: string;
  readonly idleMb: number | undefined;
  readonly peakMb: number | undefined;
}

/** CPU, kernel and runtime: without them a figure means nothing. */
export function machineLine(): string {
  const model = cpus()[0]?.model ?? 'unknown CPU';
  return `${String(cpus().length)} x ${model}, Linux ${release()}, Node ${process.version}, CUBIC`;
}

export async function commit(): Promise<string> {
  return (await must(['git', 'describe', '--always', '--dirty'])).trim();
}

export function systemOf(contestant: Contestant, peakMb: number | undefined): System {
  const { name, running, idleMb } = contestant;
  return { name, description: running.description, idleMb, peakMb };
}

/** Width of the column of names. */
const NAME = 28;
/** Of the table; the JSON has all of it. */
const MAX_REASON = 600;

const figure = (value: number): string => (value >= 1000 ? value.toFixed(0) : value.toPrecision(3));

/** What is asked of this comparison and whether it is so; empty when nothing is. */
function verdicts(figure: Figure, { peer, ratio }: Comparison): string {
  return (figure.targets?.[peer] ?? []).map((asked) => verdict(ratio.median, asked)).join(', ');
}

function memory({ name, idleMb, peakMb }: System): string {
  if (idleMb === undefined || peakMb === undefined) return '';
  const words = `${idleMb.toFixed(0)} MB idle, ${peakMb.toFixed(0)} MB at most`;
  if (name !== 'overlayd') return words;
  return `${words} (idle ${verdict(idleMb, IDLE_MB)}; loaded ${verdict(peakMb, LOADED_MB)})`;
}

function fitnessLine(report: Report, scenario: Scenario): string {
  const found = report.fitness.find((one) => one.scenario === scenario.name);
  if (found === undefined) return 'bare veth not read to the end: no judgement';
  const percent = (found.spread * 100).toFixed(0);
  const word = found.isFit ? 'fit' : 'UNFIT: no judgement';
  return `bare veth spread ${percent} %, ${word}`;
}

interface Section {
  readonly scenario: Scenario;
  readonly figure: Figure;
  readonly rows: readonly Comparison[];
}

/** The comparisons of each figure that has any. */
function sections(report: Report, scenarios: readonly Scenario[]): Section[] {
  return scenarios
    .flatMap((scenario) => scenario.figures.map((figure) => ({ scenario, figure })))
    .map((one) => ({
      ...one,
      rows: report.comparisons.filter((row) => row.figure === one.figure.name),
    }))
    .filter(({ rows }) => rows.length > 0);
}

/** The report as a table for people. */
export function table(report: Report, scenarios: readonly Scenario[]): string {
  const lines = [`machine  ${report.machine}`, `commit   ${report.commit}`, ''];
  for (const system of report.systems) {
    const words = [system.description, memory(system)].filter(Boolean).join(', ');
    lines.push(`${system.name.padEnd(NAME)}${words}`);
  }
  for (const { name, reason } of report.absent) {
    lines.push(`${name.padEnd(NAME)}DID NOT RUN: ${reason.slice(0, MAX_REASON)}`);
  }
  for (const { scenario, figure: what, rows } of sections(report, scenarios)) {
    lines.push('', `${what.name}: ${what.title} (${what.unit}); ${fitnessLine(report, scenario)}`);
    lines.push(`  ${'against'.padEnd(NAME)} overlayd   other      ratio   min .. max`);
    for (const row of rows) {
      const { ours, theirs, ratio } = row;
      lines.push(
        `  ${row.peer.padEnd(NAME)} ${figure(ours.median).padEnd(10)} ` +
          `${figure(theirs.median).padEnd(10)} ${figure(ratio.median).padEnd(7)} ` +
          `${figure(ratio.min)} .. ${figure(ratio.max)}  ${verdicts(what, row)}`.trimEnd(),
      );
    }
  }
  if (!report.isFit) lines.push('', 'UNFIT: the machine did not hold still in every scenario');
  return lines.join('\n');
}

/** The report as bench/results.md has it. */
export function markdown(report: Report, scenarios: readonly Scenario[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const lines = [
    '# Results of scripts/bench.sh',
    '',
    `Written by \`scripts/bench.sh --out bench\`. ${report.machine}; commit ${report.commit}, ${report.at.slice(0, 10)};`,
    `${String(report.options.pairs)} interleaved pairs of ${String(report.options.seconds)} s, ratios pair by pair.`,
    '',
    '![medians of all readings, with the smallest and the largest](results.svg)',
    '',
    row(['system', 'what', 'memory of a daemon']),
    row(['---', '---', '---']),
    ...report.systems.map((one) => row([one.name, one.description, memory(one)])),
    '',
  ];
  for (const { name, reason } of report.absent) {
    lines.push(`Did not run: ${name} (${reason.split('\n')[0] ?? ''})`, '');
  }
  for (const { scenario, figure: what, rows } of sections(report, scenarios)) {
    lines.push(`## ${what.name}: ${what.title}`, '', `${fitnessLine(report, scenario)}.`, '');
    const units = [`overlayd, ${what.unit}`, `other, ${what.unit}`];
    lines.push(row(['against', ...units, 'ratio', 'min .. max', 'asked']));
    lines.push(row(['---', '---', '---', '---', '---', '---']));
    for (const one of rows) {
      const { ours, theirs, ratio } = one;
      const spread = `${figure(ratio.min)} .. ${figure(ratio.max)}`;
      const figures = [ours.median, theirs.median, ratio.median].map(figure);
      lines.push(row([one.peer, ...figures, spread, verdicts(what, one)]));
    }
    lines.push('');
  }
  return lines.join('\n');
}
