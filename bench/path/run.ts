import { Topology } from '../../test/netns/lib/topology.js';
import { forgetPeak, residentMb } from './measure.js';
import type { Ground } from './grounds.js';
import type { Scenario } from './scenarios.js';
import { type Summary, spread, summarize } from './statistics.js';
import type { Pair, Running, Tunnel } from './tunnel.js';

/** A system on hosts of its own. All are up during the whole run: an idle one costs next to nothing. */
export interface Contestant {
  readonly name: string;
  readonly pair: Pair;
  readonly running: Running;
  /** MB a process, before any load; undefined for what lives in the kernel. */
  readonly idleMb: number | undefined;
}

/** One figure of ours and theirs. */
export interface Comparison {
  readonly figure: string;
  readonly peer: string;
  readonly ours: Summary;
  readonly theirs: Summary;
  /** Ours ÷ theirs, pair by pair. */
  readonly ratio: Summary;
  readonly unit: string;
}

/** Starts a system between two fresh hosts. */
export async function bringUp(tunnel: Tunnel, { mtuBytes }: Ground): Promise<Contestant> {
  const topology = await Topology.create();
  try {
    const [a, b] = [
      await topology.host(`${tunnel.name}-a`),
      await topology.host(`${tunnel.name}-b`),
    ];
    await topology.link(a, b, { mtuBytes });
    const pair = { topology, a, b, mtuBytes };
    const running = await tunnel.start(pair);
    const idleMb = running.pids.length === 0 ? undefined : await residentMb(running, 'now');
    await forgetPeak(running);
    return { name: tunnel.name, pair, running, idleMb };
  } catch (error) {
    const logs = await topology.logs();
    await topology.dispose().catch(() => undefined); // The first error tells more.
    throw new Error(`${String(error)}\n${logs}`.trim(), { cause: error });
  }
}

/** Ends it, whatever happens. Gives the complaint when that was not clean. */
export async function takeDown(contestant: Contestant): Promise<string | undefined> {
  const { topology } = contestant.pair;
  try {
    await contestant.running.stop();
    await topology.dispose();
    return undefined;
  } catch (error) {
    const logs = await topology.logs().catch(() => '');
    await topology.dispose().catch(() => undefined); // The first error tells more.
    return `${String(error)}\n${logs.slice(-2000)}`.trim();
  }
}

export interface RunOptions {
  readonly pairs: number;
  readonly seconds: number;
  readonly progress: (text: string) => void;
  /** No further pair is wanted; what was measured counts. */
  readonly isStopped: () => boolean;
}

/** Of that many pairs the run was told, those of a scenario. */
export function pairsOf(scenario: Scenario, pairs: number): number {
  return scenario.pairs === 'full' ? pairs : Math.min(3, pairs);
}

/** About how long `compare` takes. */
export function comparisonSeconds(scenario: Scenario, pairs: number, seconds: number): number {
  const needsBare = scenario.figures.some((figure) => figure.isAddedToBarePath === true);
  const readings = pairsOf(scenario, pairs) * (needsBare ? 3 : 2);
  return readings * scenario.readingSeconds(seconds);
}

/**
 * A B A B ...: what the machine does meanwhile hits both of a pair alike. Gives a comparison for each figure that says
 * something of both.
 */
export async function compare(
  scenario: Scenario,
  ours: Contestant,
  theirs: Contestant,
  bare: Contestant,
  options: RunOptions,
): Promise<Comparison[]> {
  const measure = (who: Contestant): Promise<readonly number[]> =>
    scenario.measure(who.pair, who.running, options.seconds);
  const needsBare = scenario.figures.some((figure) => figure.isAddedToBarePath === true);
  const rounds = pairsOf(scenario, options.pairs);
  const readings: {
    ours: readonly number[];
    theirs: readonly number[];
    base: readonly number[];
  }[] = [];
  for (let round = 0; round < rounds && !options.isStopped(); round++) {
    const base = needsBare ? await measure(bare) : [];
    const reading = { base, ours: await measure(ours), theirs: await measure(theirs) };
    readings.push(reading);
    const shown = (values: readonly number[]): string =>
      values.map((value) => value.toPrecision(3)).join(' ');
    options.progress(
      `${scenario.name} ${theirs.name} ${String(round + 1)}/${String(rounds)}: ` +
        `${shown(reading.ours)} against ${shown(reading.theirs)}`,
    );
  }
  return scenario.figures.flatMap(({ name, unit, isAddedToBarePath }, at) => {
    const column = (who: 'ours' | 'theirs' | 'base'): number[] =>
      readings.map((reading) => reading[who][at] ?? Number.NaN);
    const [a, b] = [column('ours'), column('theirs')];
    if (a.length === 0 || ![...a, ...b].every(Number.isFinite)) return [];
    const base = isAddedToBarePath === true ? column('base') : a.map(() => 0);
    const ratio = a.map((value, row) => {
      const bareValue = base[row] ?? Number.NaN;
      return (value - bareValue) / ((b[row] ?? Number.NaN) - bareValue);
    });
    return {
      figure: name,
      peer: theirs.name,
      ours: summarize(a),
      theirs: summarize(b),
      ratio: summarize(ratio),
      unit,
    };
  });
}

export interface Fitness {
  readonly isFit: boolean;
  readonly spread: number;
}

/** Of one scenario. */
export interface ScenarioFitness extends Fitness {
  readonly scenario: string;
  /** The bare path's readings before, between and after the comparisons. */
  readonly bareGbps: readonly number[];
}

/** Above this the machine does not hold still enough to judge anything on it. */
const UNFIT_SPREAD = 0.25;

/** Judges the machine by the bare path's own readings during one scenario. */
export function fitness(bareGbps: readonly number[]): Fitness {
  const value = spread(bareGbps);
  return { isFit: value <= UNFIT_SPREAD, spread: value };
}
