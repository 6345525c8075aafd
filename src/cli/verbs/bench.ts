import { benchPlaceSchema } from '../../api/schemas.js';
import { SCHEMA_VERSION } from '../../api/control.js';
import { fromHex } from '../../base/bytes.js';
import { measureLoad } from '../../load/sender.js';
import { EXIT_DONE, usageFailure } from '../failure.js';
import { renderBench, type BenchDocument } from '../render/bench.js';
import type { Verb, VerbCall } from '../verb.js';

const DEFAULT_SECONDS = 5;
const MAX_SECONDS = 30;
const DEFAULT_MBPS = 1000;
const MAX_MBPS = 10_000;

export const benchVerb: Verb = {
  name: 'bench',
  summary: 'measure the path to a peer with load, if it allows that',
  synopsis: '<peer>',
  minArguments: 1,
  maxArguments: 1,
  options: {
    seconds: { value: 's', help: `of each kind of load, 1 to ${MAX_SECONDS} (${DEFAULT_SECONDS})` },
    mbps: { value: 'n', help: `Mb/s at most, 1 to ${MAX_MBPS} (${DEFAULT_MBPS})` },
  },
  description: [
    "Sends TCP and UDP from this node's overlay address to the peer's, as programs would, and tells rate, loss and round trips, idle and under load. The path carries that load for the given seconds twice: others on it notice.",
    'The peer must run with --allow-bench, which its operator sets for the time of the measurement. One measurement at a time; the receiving end stops by itself. UDP is sent at half of what TCP reached, at most 200 Mb/s. Run it where overlayd runs: the load is made by overlayctl.',
  ],
  examples: ['overlayctl bench alice', 'overlayctl bench --seconds 10 --mbps 100 3f2a9c10'],
  run: async (call) => {
    const wish = {
      seconds: wholeNumber(call, 'seconds', DEFAULT_SECONDS, MAX_SECONDS),
      mbps: wholeNumber(call, 'mbps', DEFAULT_MBPS, MAX_MBPS),
    };
    const body = { peer: call.arguments[0] ?? '', ...wish };
    const place = await call.client.post('/v1/bench', body, benchPlaceSchema);
    const { monotonicMs, sleep } = call.context;
    const offer = { ...place, token: fromHex(place.token), proof: fromHex(place.proof) };
    const result = await measureLoad(offer, { monotonicMs, sleep });
    const { peer, nickname, path } = place;
    const document: BenchDocument = {
      ...{ schema: SCHEMA_VERSION, peer, nickname, path },
      ...wish,
      ...result,
    };
    call.print(document, () => renderBench(document));
    return EXIT_DONE;
  },
};

function wholeNumber(call: VerbCall, name: string, otherwise: number, max: number): number {
  const text = call.option(name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  throw usageFailure(
    `--${name} is '${text}', a whole number from 1 to ${max} is wanted`,
    text,
    `For example --${name} ${otherwise}.`,
  );
}
