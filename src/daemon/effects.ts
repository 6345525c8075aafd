import type { DataPlane, SendItem, TableEntry } from '../dataplane/dataplane.js';
import type { LinkAction, Note } from '../link/actions.js';
import type { Resolver } from './ports.js';

export interface EffectsComponents {
  readonly dataplane: Pick<DataPlane, 'send'>;
  /** Writes the tables, or as much of it as the data plane takes. */
  readonly write: (entries: readonly TableEntry[]) => void;
  readonly resolver: Resolver;
  /** A look-up ended; back into the inbox. */
  readonly onResolved: (ticket: number, addresses: readonly string[]) => void;
  readonly onNote: (note: Note) => void;
}

/**
 * Performs what a turn wants done: what must leave before the tables change, one `apply` for all table entries, the
 * rest of the datagrams, then look-ups and notes. Keys are wiped once the data plane has them.
 */
export function perform(actions: readonly LinkAction[], components: EffectsComponents): void {
  const before: SendItem[] = [];
  const entries: TableEntry[] = [];
  const after: SendItem[] = [];
  for (const action of actions) {
    if (action.kind === 'table') entries.push(action.entry);
    else if (action.kind === 'send') (action.isBeforeTables ? before : after).push(action.item);
  }
  if (before.length > 0) components.dataplane.send(before);
  if (entries.length > 0) {
    try {
      components.write(entries);
    } finally {
      for (const entry of entries) wipeKeys(entry);
    }
  }
  if (after.length > 0) components.dataplane.send(after);
  for (const action of actions) {
    if (action.kind === 'note') components.onNote(action.note);
    else if (action.kind === 'resolve') resolve(action.ticket, action.host, components);
  }
}

function resolve(ticket: number, host: string, components: EffectsComponents): void {
  components.resolver.resolve(host).then(
    (addresses) => {
      components.onResolved(ticket, addresses);
    },
    () => {
      components.onResolved(ticket, []);
    },
  );
}

function wipeKeys(entry: TableEntry): void {
  if (entry.kind === 'sessionInstall' || entry.kind === 'sessionRxKey') {
    entry.rx.key.fill(0);
    entry.rx.iv.fill(0);
  }
  if (entry.kind === 'sessionInstall' || entry.kind === 'sessionTxKey') {
    entry.tx.key.fill(0);
    entry.tx.iv.fill(0);
  }
}
