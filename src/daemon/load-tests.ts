import { timingSafeEqual } from 'node:crypto';

import type { BenchWish, EventDocument } from '../api/control.js';
import { OverlayError } from '../base/errors.js';
import type { Rng } from '../base/rng.js';
import type { Actions } from '../link/actions.js';
import type { Links } from '../link/links.js';
import type { Receiver, ReceiverOptions } from '../load/receiver.js';
import { cidrHas, parseAddress, parseCidr } from '../model/cidr.js';
import { shortPeerId, type PeerId } from '../model/peer-id.js';
import {
  BENCH_ID_BYTES,
  BENCH_SECRET_BYTES,
  decodeBenchAnswer,
  decodeBenchAsk,
  encodeBenchAnswer,
  encodeBenchAsk,
  type BenchAnswer,
  type BenchPlace,
  type BenchRefusal,
} from '../wire/bench.js';
import { CONTROL } from '../wire/control-types.js';

/*
 * Agreeing on a measurement with a peer. The asking node repeats its question until an answer comes or the time is over;
 * the asked one opens a receiver on its own overlay address if its operator allowed it, one at a time.
 *
 *   ask ── BENCH_ASK ──►  allowed? free? ── BENCH_ANSWER {address, ports, token, proof} ──► load, by overlayctl
 *                                       └── BENCH_ANSWER {refused}
 */

const REPEATS_MS = [0, 300, 1000, 2000] as const;
const GIVE_UP_MS = 4000;

/** Where this node may send a load to, and from where. */
export interface LoadPlace extends BenchPlace, BenchWish {
  readonly from: string;
}

export interface LoadTestsComponents {
  readonly links: Links;
  readonly rng: Rng;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
  /** Runs it inside a turn. */
  readonly post: (run: (nowMs: number, out: Actions) => void) => void;
  /** With prefix length. */
  readonly ownAddresses: () => readonly string[];
  readonly addressesOf: (peer: PeerId) => readonly string[];
  /** Undefined: this process cannot receive loads. */
  readonly receive: ((options: ReceiverOptions) => Promise<Receiver>) | undefined;
}

export interface LoadTestsOptions {
  /** The operator's consent to loads of peers. */
  readonly isAllowed: boolean;
  /** Cidr texts: where overlay addresses lie. */
  readonly overlay: readonly string[];
}

interface Question {
  readonly peer: PeerId;
  readonly name: string;
  readonly id: Uint8Array;
  readonly wish: BenchWish;
  readonly startMs: number;
  sent: number;
  readonly resolve: (place: LoadPlace) => void;
  readonly reject: (error: OverlayError) => void;
}

interface Serving {
  readonly peer: PeerId;
  readonly id: Uint8Array;
  answer?: BenchAnswer;
  receiver?: Receiver;
}

export class LoadTests {
  readonly #components: LoadTestsComponents;
  readonly #options: LoadTestsOptions;
  #question: Question | undefined;
  #serving: Serving | undefined;
  #isStopped = false;

  constructor(components: LoadTestsComponents, options: LoadTestsOptions) {
    this.#components = components;
    this.#options = options;
  }

  /**
   * Asks a peer whether it takes a load.
   * @throws OVL_BENCH_BUSY, OVL_BENCH_REFUSED, OVL_BENCH_BROKEN, OVL_TIMEOUT
   */
  ask(peer: PeerId, name: string, wish: BenchWish): Promise<LoadPlace> {
    return new Promise((resolve, reject) => {
      this.#components.post((nowMs, out) => {
        if (this.#question) {
          const cure = 'Wait until it has ended.';
          const text = 'This node is asking for another measurement';
          reject(new OverlayError('OVL_BENCH_BUSY', text, { cure, value: name }));
          return;
        }
        const id = this.#components.rng.bytes(BENCH_ID_BYTES);
        this.#question = { peer, name, id, wish, startMs: nowMs, sent: 0, resolve, reject };
        this.onDeadline(nowMs, out);
      });
    });
  }

  get nextDeadlineMs(): number {
    if (!this.#question) return Number.POSITIVE_INFINITY;
    const { startMs, sent } = this.#question;
    return startMs + (REPEATS_MS[sent] ?? GIVE_UP_MS);
  }

  onDeadline(nowMs: number, out: Actions): void {
    const question = this.#question;
    if (!question || nowMs < this.nextDeadlineMs) return;
    const { peer, name, id, wish } = question;
    if (question.sent >= REPEATS_MS.length) {
      this.#settle();
      const text = `${name} has not answered for ${GIVE_UP_MS / 1000} s`;
      const cure = 'It may run an older version, or have just gone: see its log.';
      question.reject(new OverlayError('OVL_TIMEOUT', text, { value: name, cure }));
      return;
    }
    question.sent += 1;
    const isSent = this.#send(peer, CONTROL.BENCH_ASK, encodeBenchAsk({ id, ...wish }), out);
    if (isSent) return;
    this.#settle();
    const cure = `'overlayctl peers' says why.`;
    const text = `There is no session with ${name} now`;
    question.reject(new OverlayError('OVL_BENCH_BROKEN', text, { value: name, cure }));
  }

  onMessage(peer: PeerId, type: number, body: Uint8Array, out: Actions): void {
    if (type === CONTROL.BENCH_ASK) this.#onAsk(peer, body, out);
    else if (type === CONTROL.BENCH_ANSWER) this.#onAnswer(peer, body);
  }

  stop(): void {
    this.#isStopped = true;
    this.#serving?.receiver?.close();
    const question = this.#settle();
    const cure = 'Start it again.';
    question?.reject(new OverlayError('OVL_BENCH_BROKEN', 'This node is stopping', { cure }));
  }

  #settle(): Question | undefined {
    const question = this.#question;
    this.#question = undefined;
    return question;
  }

  #onAsk(peer: PeerId, body: Uint8Array, out: Actions): void {
    const ask = decodeBenchAsk(body);
    if (!ask.ok) return;
    const { id, seconds, mbps } = ask.value;
    const refuse = (refused: BenchRefusal): void => {
      this.#answer(peer, { id, outcome: { refused } }, out);
    };
    const { receive, ownAddresses } = this.#components;
    if (!this.#options.isAllowed || !receive) {
      refuse('not allowed');
      return;
    }
    if (this.#serving) {
      const isSame = this.#serving.peer === peer && isEqual(this.#serving.id, id);
      if (!isSame) refuse('busy');
      else if (this.#serving.answer) this.#answer(peer, this.#serving.answer, out);
      return;
    }
    const address = ownAddresses()
      .map(bare)
      .find((text) => this.#isInOverlay(text));
    if (address === undefined) {
      refuse('no address');
      return;
    }
    const serving: Serving = { peer, id };
    this.#serving = serving;
    this.#open(serving, { address, seconds, mbps }, receive);
  }

  #open(
    serving: Serving,
    wanted: Pick<ReceiverOptions, 'address' | 'seconds' | 'mbps'>,
    receive: (options: ReceiverOptions) => Promise<Receiver>,
  ): void {
    const { post, rng, emit } = this.#components;
    const { peer, id } = serving;
    const [token, proof] = [rng.bytes(BENCH_SECRET_BYTES), rng.bytes(BENCH_SECRET_BYTES)];
    receive({ ...wanted, token, proof })
      .then((receiver) => {
        if (this.#isStopped) {
          receiver.close();
          return;
        }
        emit({
          level: 'info',
          code: 'bench-accepted',
          message: `Measurement by ${shortPeerId(peer)}: at most ${wanted.mbps} Mb/s for ${wanted.seconds} s of each load`,
          peer,
        });
        serving.receiver = receiver;
        void receiver.closed.then(() => this.#end(serving));
        const { tcp, udp } = receiver;
        const outcome = { address: wanted.address, tcp, udp, token, proof };
        post((_nowMs, out) => {
          serving.answer = { id, outcome };
          this.#answer(peer, serving.answer, out);
        });
      })
      .catch(() => {
        post((_nowMs, out) => {
          this.#end(serving);
          this.#answer(peer, { id, outcome: { refused: 'failed' } }, out);
        });
      });
  }

  #end(serving: Serving): void {
    if (this.#serving === serving) this.#serving = undefined;
  }

  #onAnswer(peer: PeerId, body: Uint8Array): void {
    const question = this.#question;
    const answer = decodeBenchAnswer(body);
    if (!question || !answer.ok || question.peer !== peer) return;
    const { id, outcome } = answer.value;
    if (!isEqual(id, question.id)) return;
    this.#settle();
    if ('refused' in outcome) {
      question.reject(refusal(question.name, outcome.refused));
      return;
    }
    const from = this.#sourceFor(outcome.address);
    // A peer names its own address and no other: this node loads nobody on a peer's word.
    const isItsOwn = this.#components.addressesOf(peer).map(bare).includes(outcome.address);
    if (from === undefined || !isItsOwn || !this.#isInOverlay(outcome.address)) {
      const text = `${question.name} names ${outcome.address}, which is no overlay address of it that this node could reach`;
      const cure = 'Both nodes need an address of the overlay (--address), of the same kind.';
      question.reject(
        new OverlayError('OVL_BENCH_REFUSED', text, { value: outcome.address, cure }),
      );
      return;
    }
    question.resolve({ ...outcome, ...question.wish, from });
  }

  #sourceFor(address: string): string | undefined {
    const isV6 = address.includes(':');
    return this.#components
      .ownAddresses()
      .map(bare)
      .find((text) => text.includes(':') === isV6 && this.#isInOverlay(text));
  }

  #isInOverlay(text: string): boolean {
    const address = parseAddress(text);
    return (
      address !== undefined &&
      this.#options.overlay.some((prefix) => {
        const cidr = parseCidr(prefix, 'cut');
        return cidr !== undefined && cidrHas(cidr, address);
      })
    );
  }

  #answer(peer: PeerId, answer: BenchAnswer, out: Actions): void {
    this.#send(peer, CONTROL.BENCH_ANSWER, encodeBenchAnswer(answer), out);
  }

  #send(peer: PeerId, type: number, body: Uint8Array, out: Actions): boolean {
    return this.#components.links.control(peer, type, body, out);
  }
}

const bare = (cidr: string): string => cidr.split('/')[0] ?? cidr;

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function refusal(name: string, reason: BenchRefusal): OverlayError {
  const [text, cure] = {
    'not allowed': [
      `${name} does not allow measurements`,
      'Its operator starts it with --allow-bench for the time of the measurement.',
    ],
    busy: [`${name} is being measured already`, 'Try again in a minute.'],
    'no address': [`${name} has no address of the overlay`, 'Start it with --address auto.'],
    failed: [`${name} could not open its end of the measurement`, 'See its log.'],
  }[reason] as [string, string];
  const code = reason === 'busy' ? 'OVL_BENCH_BUSY' : 'OVL_BENCH_REFUSED';
  return new OverlayError(code, text, { value: name, cure });
}
