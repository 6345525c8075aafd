import assert from 'node:assert/strict';
import { type Pair, startPair } from './lib/pair.js';
import { pingAll } from './lib/traffic.js';
import { tidy } from './lib/tidy.js';

/*
 * RFC 6040 against the kernel: the outer header leaves with the ECN field of the frame, and a mark that the underlay
 * makes arrives inside. The rules of nft(8) stand for a congested router.
 */

const COUNTED = (name: string) => new RegExp(`counter ${name} \\{\\s*packets (\\d+)`);

describe('congestion marks of the underlay', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(async () => {
    pair = await startPair({});
    await pair.bob.nft(`
      table inet marks {
        counter capable {}
        counter marked {}
        chain underlay {
          type filter hook prerouting priority raw;
          udp dport 6783 ip ecn ect0 counter name capable ip ecn set ce
        }
        chain overlay {
          type filter hook input priority filter;
          iifname "overlay0" icmp type echo-request ip ecn ce counter name marked
        }
      }`);
  });
  tidy(() => pair);

  const counted = async (name: string): Promise<number> => {
    const rules = await pair.bob.must(['nft', 'list', 'table', 'inet', 'marks']);
    return Number(COUNTED(name).exec(rules)?.[1] ?? NaN);
  };

  it('arrive in frames that are ECN-capable, and only there', async () => {
    const target = await pair.b.address(4);
    await pingAll(pair.alice, target, { count: 5 });
    assert.deepEqual([await counted('capable'), await counted('marked')], [0, 0]);
    await pair.alice.must(['ping', '-n', '-c', '5', '-i', '0.05', '-Q', '2', '-W', '2', target]);
    assert.deepEqual([await counted('capable'), await counted('marked')], [5, 5]);
  });
});
