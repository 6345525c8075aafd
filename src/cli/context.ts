/** All that a verb may touch of the process it runs in; bin/overlayctl.ts hands in the real one, tests their own. */
export interface CliContext {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export const DEFAULT_SOCKET = '/run/overlayd/overlayd.sock';
