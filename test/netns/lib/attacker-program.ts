import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/*
 * The hand of attacker.ts inside its host: sends datagrams from any address that is local there, and tells what comes
 * back. Ends when its parent lets go of the channel.
 */

export interface SendOrder {
  readonly ticket: number;
  /** `address:port`, both ends. */
  readonly from: string;
  readonly to: string;
  readonly datagrams: readonly Uint8Array[];
}

export type AttackerNews =
  | { readonly kind: 'ready' }
  | { readonly kind: 'sent'; readonly ticket: number }
  | {
      readonly kind: 'datagram';
      readonly at: string;
      readonly from: string;
      readonly bytes: Uint8Array;
    };

const sockets = new Map<string, Promise<Socket>>();

function tell(news: AttackerNews): void {
  process.send?.(news);
}

function split(endpoint: string): { address: string; port: number } {
  const colon = endpoint.lastIndexOf(':');
  return { address: endpoint.slice(0, colon), port: Number(endpoint.slice(colon + 1)) };
}

async function open(at: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.on('message', (bytes, { address, port }) => {
    tell({ kind: 'datagram', at, from: `${address}:${String(port)}`, bytes });
  });
  socket.bind({ ...split(at), exclusive: true });
  await once(socket, 'listening');
  socket.on('error', () => undefined); // ICMP about an earlier datagram
  return socket;
}

async function send(order: SendOrder): Promise<void> {
  const socket = sockets.get(order.from) ?? open(order.from);
  sockets.set(order.from, socket);
  const { address, port } = split(order.to);
  const opened = await socket;
  for (const bytes of order.datagrams) {
    await new Promise<void>((resolve) => {
      opened.send(bytes, port, address, () => {
        resolve();
      });
    });
  }
  tell({ kind: 'sent', ticket: order.ticket });
}

process.on('message', (order: SendOrder) => void send(order));
process.on('disconnect', () => process.exit(0));
tell({ kind: 'ready' });
