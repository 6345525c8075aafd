/*
 * Started by dns-server.test.ts inside a host: names of two networks on the bindings given as arguments, each
 * `network,address`. Says `listening` on standard output when it is ready, and ends with its standard input.
 */
import { createSystemClock } from '../../../src/base/system-clock.js';
import { createSystemRng } from '../../../src/base/system-rng.js';
import { createNodeTimers } from '../../../src/daemon/node-timers.js';
import { Responder } from '../../../src/dns/answer.js';
import { DEFAULT_DOMAIN, DNS_PORT } from '../../../src/dns/constants.js';
import { Forwarder } from '../../../src/dns/forwarder.js';
import { DnsServer } from '../../../src/dns/server.js';
import { Zone } from '../../../src/dns/zone.js';

const addresses = (count: number, make: (i: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => make(i + 1));

const zone = new Zone(DEFAULT_DOMAIN);
zone.put('web', { network: 0, name: 'web', addresses: ['10.32.0.5', 'fd00:9::5'] });
zone.put('many', { network: 0, name: 'many', addresses: addresses(50, (i) => `10.32.1.${i}`) });
zone.put('six', { network: 0, name: 'six', addresses: addresses(50, (i) => `fd00:9::1:${i}`) });
zone.put('red', { network: 1, name: 'secret', addresses: ['10.32.0.9'] });

const clock = createSystemClock();
const rng = createSystemRng();
const timers = createNodeTimers();
const forwarder = new Forwarder({ clock, rng, timers, upstreams: () => [] });
const responder = new Responder({ zone, rng });
const server = new DnsServer({ clock, timers, responder, forwarder });

for (const argument of process.argv.slice(2)) {
  const [network = '', address = ''] = argument.split(',');
  await server.open({ network: Number(network), address, port: DNS_PORT });
}
console.log('listening');
process.stdin.resume();
process.stdin.on('end', () => {
  forwarder.stop();
  void server.stop();
});
