import { cpus, release } from 'node:os';
import { must } from '../../test/netns/lib/exec.js';
import type { Comparison, Contestant, Fitness } from './run.js';
import type { Scenario } from './scenarios.js';

export interface Report {
  readonly schema: 1;
  readonly at: string;
  readonly machine: string;
  readonly commit: string;
  readonly options: { readonly pairs: number; readonly seconds: number };
  readonly fitness: Fitness & { readonly bareGbps: readonly number[] };
  readonly systems: readonly {
    readonly name: string;
    readonly description: string;
    readonly idleMb?: number;
  }[];
  /** Systems that did not come up, and why. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
  readonly comparisons: readonly Comparison[];
}

/** CPU, kernel and runtime: without them a figure means nothing. */
export function machineLine(): string {
  const model = cpus()[0]?.model ?? 'unknown CPU';
  return `${String(cpus().length)} x ${model}, Linux ${release()}, Node ${process.version}, CUBIC`;
}

export async function commit(): Promise<string> {
  return (await must(['git', 'describe', '--always', '--dirty'])).trim();
}

export function systemOf(contestant: Contestant): Report['systems'][number] {
  const { name, running, idleMb } = contestant;
  const system = { name, description: running.description };
  return idleMb === undefined ? system : { ...system, idleMb };
}

const figure = (value: number): string => value.toPrecision(3);

function verdict(scenario: Scenario | undefined, comparison: Comparison): string {
  const target = scenario?.targets[comparison.peer];
  if (target === undefined) return '';
  const { median } = comparison.ratio;
  if ('atLeast' in target) {
    return `target >= ${String(target.atLeast)} ${median >= target.atLeast ? 'reached' : 'MISSED'}`;
  }
  return `target <= ${String(target.atMost)} ${median <= target.atMost ? 'reached' : 'MISSED'}`;
}

/** The report as a table for people. */
export function table(report: Report, scenarios: readonly Scenario[]): string {
  const lines = [`machine  ${report.machine}`, `commit   ${report.commit}`, ''];
  for (const { name, description, idleMb } of report.systems) {
    const memory = idleMb === undefined ? '' : `, ${idleMb.toFixed(0)} MB idle`;
    lines.push(`${name.padEnd(14)}${description}${memory}`);
  }
  for (const { name, reason } of report.absent)
    lines.push(`${name.padEnd(14)}DID NOT RUN: ${reason}`);
  for (const scenario of scenarios) {
    const rows = report.comparisons.filter((row) => row.scenario === scenario.name);
    if (rows.length === 0) continue;
    lines.push('', `${scenario.title} (${scenario.unit})`);
    lines.push('  against        overlayd   other      ratio   min .. max');
    for (const row of rows) {
      const { ratio } = row;
      lines.push(
        `  ${row.peer.padEnd(14)} ${figure(row.ours.median).padEnd(10)} ` +
          `${figure(row.theirs.median).padEnd(10)} ${figure(ratio.median).padEnd(7)} ` +
          `${figure(ratio.min)} .. ${figure(ratio.max)}  ${verdict(scenario, row)}`.trimEnd(),
      );
    }
  }
  const percent = (report.fitness.spread * 100).toFixed(0);
  lines.push(
    '',
    `bare veth spread ${percent} % in this run: ${report.fitness.isFit ? 'fit' : 'UNFIT, no figure above is a judgement'}`,
  );
  return lines.join('\n');
}
