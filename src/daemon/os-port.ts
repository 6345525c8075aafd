import type { PasswordHasher } from '../crypto/password.js';

/*
 * What Node cannot do itself and the addon's os module does. Handed in, so that tests and the rooms above need no
 * addon.
 */
export interface OsModule extends PasswordHasher {
  /**
   * Opens (creating it, mode 0600, close-on-exec) and locks a file without waiting. Returns the descriptor; the lock
   * goes with it, at the latest when the process dies.
   * @throws an error with `code` EAGAIN or EWOULDBLOCK when another process holds it, else with the open's errno
   */
  lockFile(path: string): number;
  /** Closes what lockFile opened. */
  unlockFile(descriptor: number): void;
  /** False: no core dumps and no ptrace by the same user, as both would show keys. */
  setDumpable(isDumpable: boolean): void;
  /** Tells systemd, e.g. `READY=1`. False: not started by systemd, or it does not listen. */
  sdNotify(state: string): boolean;
  /** CLOCK_BOOTTIME in ms: goes on during suspend. */
  bootTimeMs(): number;
  /**
   * A socket bound to an address and port that hears and speaks on one device only, whatever routes say. Of TCP it does
   * not listen yet. The caller owns the descriptor.
   * @throws an error with `code`: EADDRINUSE, EADDRNOTAVAIL, EACCES, ENODEV …
   */
  openBoundSocket(transport: 'udp' | 'tcp', device: string, address: string, port: number): number;
  /**
   * Sends an Ethernet frame, as it is, out of an interface; best effort.
   * @throws an error with `code`: ENODEV, EPERM …
   */
  sendFrame(device: string, frame: Uint8Array): void;
  /**
   * Calls back 50 ms after a link, an address or a route changed on an interface whose name is not among `ignored`; what
   * happens until then is one call. Ended by the function it returns.
   * @throws an error with `code` when the kernel refuses
   */
  watchNetwork(ignored: readonly string[], callback: () => void): () => void;
}
