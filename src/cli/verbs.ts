import { usageFailure } from './failure.js';
import { nearest } from '../base/suggest.js';
import type { Verb } from './verb.js';
import { attachVerb } from './verbs/attach.js';
import { benchVerb } from './verbs/bench.js';
import { completionVerb } from './verbs/completion.js';
import { connectVerb } from './verbs/connect.js';
import { detachVerb } from './verbs/detach.js';
import { dnsVerb } from './verbs/dns.js';
import { ipamVerb } from './verbs/ipam.js';
import { doctorVerb } from './verbs/doctor.js';
import { exposeVerb, hideVerb } from './verbs/expose.js';
import { eventsVerb } from './verbs/events.js';
import { forgetVerb } from './verbs/forget.js';
import { helpVerb } from './verbs/help.js';
import { networkVerb } from './verbs/network.js';
import { pathsVerb } from './verbs/paths.js';
import { peerVerb } from './verbs/peer.js';
import { peersVerb } from './verbs/peers.js';
import { psVerb } from './verbs/ps.js';
import { reportVerb } from './verbs/report.js';
import { resetVerb } from './verbs/reset.js';
import { routesVerb } from './verbs/routes.js';
import { statusVerb } from './verbs/status.js';
import { versionVerb } from './verbs/version.js';

/** In the order of the help: looking, then changing, then about the program itself. */
export const VERBS: readonly Verb[] = [
  statusVerb,
  peersVerb,
  routesVerb,
  pathsVerb,
  psVerb,
  eventsVerb,
  reportVerb,
  connectVerb,
  forgetVerb,
  peerVerb,
  attachVerb,
  detachVerb,
  exposeVerb,
  hideVerb,
  networkVerb,
  dnsVerb,
  ipamVerb,
  resetVerb,
  doctorVerb,
  benchVerb,
  versionVerb,
  completionVerb(() => VERBS),
  helpVerb(() => VERBS, findVerb),
];

/** @throws CliFailure OVL_USAGE with a suggestion */
export function findVerb(name: string): Verb {
  const verb = VERBS.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verb;
  const names = VERBS.map((candidate) => candidate.name);
  const meant = nearest(name, names);
  throw usageFailure(
    `There is no verb '${name}'`,
    name,
    meant === undefined
      ? `Verbs: ${names.join(', ')}.`
      : `Did you mean '${meant}'? 'overlayctl --help' lists all.`,
  );
}
