import { utf8Bytes } from '../base/bytes.js';
import type { Rng } from '../base/rng.js';
import { respondToInit, startInitiator, type LocalParty } from '../crypto/handshake.js';
import { RekeyInitiator, RekeyResponder } from '../crypto/rekey.js';
import { blake2b128 } from '../crypto/sodium.js';
import type { LinkCrypto, RekeyCrypto } from '../link/crypto-port.js';

const HINT_LABEL = utf8Bytes('overlayd/1 hint');
const HINT_BYTES = 8;

/** The crypto room with this node's identity, mesh and password inside, as the links want it. */
export function makeLinkCrypto(party: LocalParty, prs: Uint8Array, rng: Rng): LinkCrypto {
  return {
    initiate: (localIndex, resume) =>
      startInitiator(party, { prs, slot: 0, ...(resume && { resume }) }, localIndex, rng),
    respond: (init, localIndex, from) =>
      respondToInit(party, { newest: prs }, init, localIndex, from, rng),
    ...makeRekeyCrypto(rng),
    // Both sides know the pair key, nobody else does, and it is new with each handshake: so is its hint.
    hintOf: (pairKey) => blake2b128(HINT_LABEL, pairKey).slice(0, HINT_BYTES),
  };
}

/** The part of it that needs neither identity nor password: a session's own secret is enough to change its keys. */
export function makeRekeyCrypto(rng: Rng): RekeyCrypto {
  return {
    rekeyAsker: (secret) => {
      const initiator = new RekeyInitiator(secret);
      return {
        request: () => initiator.request(rng),
        onReply: (reply) => initiator.onReply(reply),
        erase: () => {
          initiator.erase();
        },
      };
    },
    rekeyAnswerer: (secret) => {
      const responder = new RekeyResponder(secret);
      return {
        onRequest: (request) => responder.onRequest(request, rng),
        erase: () => {
          responder.erase();
        },
      };
    },
  };
}
