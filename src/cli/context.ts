/** All that a verb may touch of the process it runs in; bin/overlayctl.ts hands in the real one, tests their own. */
export interface CliContext {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Width of the terminal that `out` goes to; undefined where it is none. */
  readonly columns: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
  /** ISO 8601, UTC. */
  readonly wallTime: () => string;
  readonly sleep: (ms: number) => Promise<void>;
  /**
   * Removes what a daemon that is gone left on this host.
   *
   * @returns names of the interfaces removed
   * @throws OVL_IFACE_FOREIGN when a running daemon holds them, OVL_NOT_PERMITTED, OVL_IFACE_CONFIG
   */
  readonly removeLeftovers: (ifName: string) => Promise<readonly string[]>;
}

export const DEFAULT_SOCKET = '/run/overlayd/overlayd.sock';
