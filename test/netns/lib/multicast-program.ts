import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/*
 * Started by multicast.ts inside a host.
 *
 *   listen <group> <port> <interface>           joins; a line `ready`, then the count whenever a line comes in
 *   send <group> <port> <interface> <rate> <s>  that many datagrams a second for so long, then the count
 *
 * `interface`: the address of this host to use; for IPv6 `::%<name>`.
 */

const [mode = '', group = '', port = '', address = '', rate = '', seconds = ''] =
  process.argv.slice(2);
const TICK_MS = 20;
const PAYLOAD = Buffer.alloc(100, 7);

const socket = createSocket({ type: group.includes(':') ? 'udp6' : 'udp4', reuseAddr: true });

async function listen(): Promise<void> {
  let count = 0;
  socket.on('message', () => (count += 1));
  socket.bind(Number(port));
  await once(socket, 'listening');
  socket.addMembership(group, address);
  console.log('ready');
  process.stdin.on('data', () => {
    console.log(String(count));
  });
  process.stdin.on('end', () => process.exit(0));
}

async function send(): Promise<void> {
  socket.bind(0);
  await once(socket, 'listening');
  socket.setMulticastInterface(address);
  socket.setMulticastTTL(4);
  const total = Number(rate) * Number(seconds);
  const startMs = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, ((performance.now() - startMs) / 1000) * Number(rate));
    for (; sent < due; sent++) socket.send(PAYLOAD, Number(port), group);
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  socket.close();
  console.log(String(sent));
}

await (mode === 'listen' ? listen() : send());
