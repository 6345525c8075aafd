import assert from 'node:assert/strict';

import { seededRng } from '../../src/base/rng.js';
import type { TestDaemon } from './lib/daemon.js';
import { Topology, type Host } from './lib/topology.js';
import { isAnswered } from './lib/traffic.js';
import { waitFor } from './lib/wait.js';

/*
 * Many daemons on one switch. Pairs are cut and healed at random while all goes on; at the end everybody reaches
 * everybody, and nothing is left when they stopped (Topology.dispose looks for processes, interfaces, namespaces).
 */

const IS_LONG = process.env['OVERLAYD_TEST_LONG'] === '1';
const COUNT = IS_LONG ? 50 : 6;
const CUTS = IS_LONG ? 24 : 4;
const CUT_EVERY_MS = IS_LONG ? 5000 : 1500;
const START_MS = 60_000;
/** Node starts that share two cores. */
const AT_A_TIME = 5;

describe(`${COUNT} daemons on one machine`, function () {
  this.timeout(600_000);

  it(`reach each other, through ${CUTS} random cuts and heals too, and leave nothing`, async function () {
    const seed = Number(process.env['OVERLAYD_TEST_SEED'] ?? Date.now() % 1_000_000);
    const rng = seededRng(seed);
    const topology = await Topology.create();
    try {
      const outside = await topology.switch();
      const hosts: Host[] = [];
      for (let at = 0; at < COUNT; at++) {
        const host = await topology.host(`n${at}`);
        await outside.plug(host, { underlay: 'ipv4' });
        hosts.push(host);
      }
      const startMs = performance.now();
      const daemons: TestDaemon[] = [];
      for (let at = 0; at < COUNT; at += AT_A_TIME) {
        const some = hosts.slice(at, at + AT_A_TIME).map(async (host) => {
          const peers = host === hosts[0] ? [] : [hosts[0]!.address(4)];
          const daemon = await host.startDaemon({ peers, logLevel: 'info' });
          await daemon.wait('ready', START_MS);
          return daemon;
        });
        daemons.push(...(await Promise.all(some)));
      }
      await allKnowAll(daemons, START_MS);
      const tookMs = Math.round(performance.now() - startMs);
      console.log(`      all reach all ${tookMs} ms after the first start`);
      assert.ok(tookMs <= START_MS, `start-up took ${tookMs} ms`);

      const addresses = await Promise.all(daemons.map((daemon) => daemon.address(4)));
      const pick = (): number => Math.floor(rng.fraction() * COUNT);
      for (let round = 0; round < CUTS; round++) {
        const a = pick();
        const b = (a + 1 + Math.floor(rng.fraction() * (COUNT - 1))) % COUNT;
        await outside.cut(hosts[a]!, hosts[b]!);
        await new Promise((resolve) => setTimeout(resolve, CUT_EVERY_MS * rng.fraction()));
        await outside.heal(hosts[a]!, hosts[b]!);
      }
      await allKnowAll(daemons, 30_000);
      for (const host of hosts) {
        const left = new Set(addresses);
        await waitFor(`${host.name} reaches all (seed ${seed})`, 30_000, async () => {
          for (const address of left) if (await isAnswered(host, address)) left.delete(address);
          return left.size === 0;
        });
      }
    } catch (error) {
      console.error(`seed ${seed}`);
      throw error;
    } finally {
      await topology.dispose();
    }
  });

  async function allKnowAll(daemons: readonly TestDaemon[], withinMs: number): Promise<void> {
    await Promise.all(daemons.map((daemon) => daemon.wait(`peers=${COUNT}`, withinMs)));
  }
});
