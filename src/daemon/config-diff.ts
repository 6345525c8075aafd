import type { DaemonConfig } from './config.js';

/** Which settings differ and need a restart; the log level is taken at once. */
export function changedSettings(running: DaemonConfig, wanted: DaemonConfig): readonly string[] {
  return (Object.keys(wanted) as (keyof DaemonConfig)[])
    .filter((name) => name !== 'logLevel')
    .filter((name) => JSON.stringify(running[name]) !== JSON.stringify(wanted[name]));
}
