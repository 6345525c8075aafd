import type { ConnectOutcome, EventDocument, ForgetOutcome } from '../api/control.js';
import { OverlayError } from '../base/errors.js';
import type { Dialer } from '../link/dialer.js';
import { parseContact, type Contact } from '../model/contact.js';
import type { StateStore } from './ports.js';

const MAX_CONTACT_TEXT = 300;

export interface ContactsComponents {
  readonly state: StateStore;
  /** The one of now: another is made at the start. */
  readonly dialer: () => Dialer;
  readonly post: (run: (nowMs: number) => void) => void;
  readonly emit: (event: Omit<EventDocument, 'seq' | 'at'>) => void;
}

export interface ContactsOptions {
  /** Where one is dialled that names no port. */
  readonly port: number;
  /** As typed after `--peer`. */
  readonly peers: readonly string[];
}

/** Endpoints that an operator told this node to dial: at the start, and by command. */
export class Contacts {
  readonly #components: ContactsComponents;
  readonly #options: ContactsOptions;

  constructor(components: ContactsComponents, options: ContactsOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** `--peer` first, then what `connect` stored. @throws OVL_ENDPOINT_INVALID */
  atStart(): readonly Contact[] {
    const stored: Contact[] = [];
    for (const text of this.#components.state.contacts()) {
      const contact = parseContact(text, this.#options.port);
      if (contact) stored.push(contact);
    }
    return [...this.#options.peers.map((text) => this.#parse(text)), ...stored];
  }

  /** All or none. @throws OVL_ENDPOINT_INVALID */
  add(texts: readonly string[]): ConnectOutcome {
    const { state, dialer, post, emit } = this.#components;
    const contacts = texts.map((text) => this.#parse(text));
    const known = new Set(dialer().contacts.map((target) => target.contact));
    for (const contact of contacts) {
      state.addContact(contact.text);
      if (known.has(contact.text)) continue;
      emit({
        level: 'info',
        code: 'contact-added',
        message: `Contact ${contact.text} added`,
        endpoint: contact.text,
      });
    }
    post((nowMs) => {
      for (const { text, host, port } of contacts) dialer().addContact(text, host, port, nowMs);
    });
    return { contacts: contacts.map((contact) => contact.text) };
  }

  /** @throws OVL_ENDPOINT_INVALID, with none forgotten */
  forget(texts: readonly string[]): ForgetOutcome {
    const { state, dialer, emit } = this.#components;
    const contacts = texts.map((text) => this.#parse(text));
    const removed: string[] = [];
    const unknown: string[] = [];
    for (const { text } of contacts) {
      const wasStored = state.removeContact(text);
      const wasDialled = dialer().removeContact(text);
      const isRemoved = wasStored || wasDialled;
      (isRemoved ? removed : unknown).push(text);
      if (!isRemoved) continue;
      emit({
        level: 'info',
        code: 'contact-removed',
        message: `Contact ${text} removed`,
        endpoint: text,
      });
    }
    return { removed, unknown };
  }

  #parse(text: string): Contact {
    const contact =
      text.length > MAX_CONTACT_TEXT ? undefined : parseContact(text, this.#options.port);
    if (contact) return contact;
    throw new OverlayError('OVL_ENDPOINT_INVALID', `Cannot use '${text}' as an endpoint`, {
      value: text,
      cure: 'Give host, host:port, or [v6]:port.',
    });
  }
}
