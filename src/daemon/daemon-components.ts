import type { Clock } from '../base/clock.js';
import type { Rng } from '../base/rng.js';
import type { DataPlane } from '../dataplane/dataplane.js';
import type { RecordCrypto } from '../records/crypto-port.js';
import type { RecordReader } from '../records/signed-record.js';
import type { makeLinkCrypto } from './link-crypto.js';
import type { LoadTestsComponents } from './load-tests.js';
import type { PeerDecoder } from './mesh-records.js';
import type {
  HostInterface,
  Logger,
  NetworkWatcher,
  Resolver,
  StateStore,
  Timers,
} from './ports.js';
import type { RecordRoom } from './record-room.js';

/** What a daemon is made over: the host's ports, and what a simulator puts in the place of costly parts. */
export interface DaemonComponents {
  readonly dataplane: DataPlane;
  readonly host: HostInterface;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly rng: Rng;
  readonly resolver: Resolver;
  readonly network: NetworkWatcher;
  /** Addresses of this host that peers may try, as they are now. */
  readonly localAddresses: () => readonly string[];
  readonly log: Logger;
  /** Opens the receiving end of a measurement; without it every peer is refused. */
  readonly receiveLoad?: LoadTestsComponents['receive'];
  /** Refuses pools that this host's routes overlap; without it none is. @throws OVL_POOL_OVERLAP */
  readonly admitPool?: (range: string, pools: readonly string[]) => Promise<void>;
  /** What lives in the records besides peers and links. */
  readonly rooms?: readonly RecordRoom[];
  /** A simulator's, which remembers across nodes what it read and verified. */
  readonly records?: (crypto: RecordCrypto) => {
    readonly crypto: RecordCrypto;
    readonly reader: RecordReader;
    readonly decodePeer: PeerDecoder;
  };
  /** A simulator's, which counts handshakes instead of computing them. */
  readonly linkCrypto?: typeof makeLinkCrypto;
  /** The bridge is up and has its addresses; ready is said when this has ended. */
  readonly onBridgeUp?: () => Promise<void>;
}
