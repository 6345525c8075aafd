import { residentMb, tcp } from './measure.js';
import { type Absence, type System, systemOf } from './report.js';
import type { Ground } from './grounds.js';
import {
  type Comparison,
  type Contestant,
  type ScenarioFitness,
  bringUp,
  compare,
  comparisonSeconds,
  fitness,
  takeDown,
} from './run.js';
import { type Scenario, byGround } from './scenarios.js';
import type { Tunnel } from './tunnel.js';
import { veth } from './tunnels.js';

export interface ContestOptions {
  readonly peers: readonly Tunnel[];
  readonly scenarios: readonly Scenario[];
  readonly pairs: number;
  readonly seconds: number;
  /** overlayd's own option; undefined: what the daemons choose. */
  readonly cipher: string | undefined;
  /** No comparison begins after that many seconds. */
  readonly maxSeconds: number;
  readonly progress: (text: string) => void;
}

/** Bringing a system up and down, and a reading of the bare path. */
const SYSTEM_SECONDS = 3;

/** About how long `run` takes, in seconds, when every system comes up. */
export function estimateSeconds({ peers, scenarios, pairs, seconds }: ContestOptions): number {
  let total = 0;
  for (const [ground, group] of byGround(scenarios)) {
    const count = ground.others(peers).length;
    total += (count + 2) * SYSTEM_SECONDS;
    for (const scenario of group) {
      total += count * comparisonSeconds(scenario, pairs, seconds) + (count + 1) * seconds;
    }
  }
  return total;
}

/** All scenarios against all peers, one after the other. What did not run is told, not thrown. */
export class Contest {
  /** Did not come up, could not be measured, or the time was over. */
  readonly absent: Absence[] = [];
  readonly comparisons: Comparison[] = [];
  readonly fitness: ScenarioFitness[] = [];
  readonly #systems = new Map<string, System>();
  readonly #options: ContestOptions;
  readonly #startedMs = performance.now();
  #isStopped = false;

  constructor(options: ContestOptions) {
    this.#options = options;
  }

  /** Every system that was up, once. */
  get systems(): readonly System[] {
    return [...this.#systems.values()];
  }

  /** Lets the reading under way end, takes everything down, and `run` resolves. */
  stop(): void {
    this.#isStopped = true;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  async run(): Promise<void> {
    for (const [ground, group] of byGround(this.#options.scenarios)) {
      if (this.#isOver()) this.#skip(group.map((one) => one.name).join(', '));
      else await this.#runGround(ground, group);
    }
  }

  #isOver(): boolean {
    const tookMs = performance.now() - this.#startedMs;
    return this.#isStopped || tookMs > this.#options.maxSeconds * 1000;
  }

  #skip(name: string): void {
    const { maxSeconds } = this.#options;
    const reason = this.#isStopped
      ? 'the run was stopped'
      : `the ${String(Math.round(maxSeconds / 60))} minutes were over`;
    this.absent.push({ name, reason });
  }

  /** On systems started for these scenarios and ended after them. */
  async #runGround(ground: Ground, group: readonly Scenario[]): Promise<void> {
    const contestants: Contestant[] = [];
    const start = async (tunnel: Tunnel): Promise<Contestant | undefined> => {
      try {
        const contestant = await bringUp(tunnel, ground);
        contestants.push(contestant);
        return contestant;
      } catch (error) {
        const where = ground.name === 'plain' ? '' : ` (${ground.name})`;
        this.absent.push({ name: tunnel.name + where, reason: words(error) });
        return undefined;
      }
    };
    try {
      const bare = await start(veth);
      const ours = bare && (await start(ground.ours(this.#options.cipher)));
      if (bare === undefined || ours === undefined) return;
      const others: Contestant[] = [];
      for (const tunnel of ground.others(this.#options.peers)) {
        const other = tunnel === veth ? bare : await start(tunnel);
        if (other !== undefined) others.push(other);
      }
      for (const scenario of group) await this.#runScenario(scenario, ours, others, bare);
      for (const contestant of contestants) await this.#note(contestant);
    } finally {
      for (const contestant of contestants.reverse()) {
        const reason = await takeDown(contestant);
        if (reason !== undefined) this.absent.push({ name: `end of ${contestant.name}`, reason });
      }
    }
  }

  async #note(contestant: Contestant): Promise<void> {
    const { pids, description } = contestant.running;
    if (this.#systems.has(description)) return;
    const peakMb = pids.length === 0 ? undefined : await residentMb(contestant.running, 'peak');
    this.#systems.set(description, systemOf(contestant, peakMb));
  }

  /** Against every other that it can be asked of, the bare path read before each and at the end. */
  async #runScenario(
    scenario: Scenario,
    ours: Contestant,
    others: readonly Contestant[],
    bare: Contestant,
  ): Promise<void> {
    const bareGbps: number[] = [];
    const readBare = async (): Promise<void> => {
      bareGbps.push((await tcp(bare.pair, bare.running, this.#options.seconds)).gbps);
    };
    const isAdded = scenario.figures.every((figure) => figure.isAddedToBarePath === true);
    for (const other of others) {
      if (isAdded && other === bare) continue;
      if (this.#isOver()) {
        this.#skip(`${other.name} in ${scenario.name}`);
        continue;
      }
      try {
        await readBare();
        const options = { ...this.#options, isStopped: () => this.#isStopped };
        this.comparisons.push(...(await compare(scenario, ours, other, bare, options)));
      } catch (error) {
        this.absent.push({ name: `${other.name} in ${scenario.name}`, reason: words(error) });
      }
    }
    if (bareGbps.length === 0 || this.#isStopped) return;
    await readBare();
    this.fitness.push({ scenario: scenario.name, ...fitness(bareGbps), bareGbps });
  }
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));
