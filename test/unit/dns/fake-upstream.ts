import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';

import { decode, encode } from 'dns-packet';

import { LengthPrefixed, withLength } from '../../../src/dns/stream.js';
import type { Upstream } from '../../../src/dns/upstreams.js';

/** What a reply is made of; undefined: silence. */
export interface Script {
  readonly rcode?: number;
  readonly isCut?: boolean;
  readonly address?: string;
  /** Sent before the reply, made from the query: forgeries. */
  readonly forgeries?: readonly ((query: Buffer) => Buffer)[];
}

export interface Seen {
  readonly id: number;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
  readonly name: string;
}

/** A name server on 127.0.0.1 that answers by script and remembers what it was asked. */
export class FakeUpstream {
  readonly seen: Seen[] = [];
  readonly #answer: (transport: 'udp' | 'tcp') => Script | undefined;
  readonly #udp: Socket = createSocket('udp4');
  readonly #tcp: Server;
  #port = 0;

  constructor(answer: (transport: 'udp' | 'tcp') => Script | undefined) {
    this.#answer = answer;
    this.#udp.on('message', (query, from) => {
      const script = this.#see(query, 'udp', from.port);
      for (const forge of script?.forgeries ?? []) {
        this.#udp.send(forge(Buffer.from(query)), from.port, from.address);
      }
      if (script) this.#udp.send(replyTo(query, script), from.port, from.address);
    });
    this.#tcp = createServer((socket) => {
      const messages = new LengthPrefixed();
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        messages.push(chunk);
        const query = messages.next();
        if (query === undefined) return;
        const script = this.#see(Buffer.from(query), 'tcp', socket.remotePort ?? 0);
        if (script) socket.write(withLength(replyTo(Buffer.from(query), script)));
      });
    });
  }

  async start(): Promise<Upstream> {
    await new Promise<void>((resolve) => this.#udp.bind(0, '127.0.0.1', resolve));
    this.#port = this.#udp.address().port;
    await new Promise<void>((resolve) => this.#tcp.listen(this.#port, '127.0.0.1', resolve));
    return { address: '127.0.0.1', port: this.#port };
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#udp.close(() => resolve()));
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
  }

  #see(query: Buffer, transport: 'udp' | 'tcp', port: number): Script | undefined {
    const { id = 0, questions } = decode(query);
    this.seen.push({ id, port, transport, name: questions?.[0]?.name ?? '' });
    return this.#answer(transport);
  }
}

export function replyTo(query: Buffer, script: Script): Buffer {
  const { id = 0, questions = [] } = decode(query);
  const name = questions[0]?.name ?? '';
  const data = script.address ?? '192.0.2.1';
  return encode({
    type: 'response',
    id,
    flags: 0x0180 | (script.isCut === true ? 0x0200 : 0) | (script.rcode ?? 0),
    questions,
    answers: script.rcode === undefined ? [{ name, type: 'A', ttl: 60, data }] : [],
  });
}
