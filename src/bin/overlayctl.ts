#!/usr/bin/env node
import { setTimeout as sleep } from 'node:timers/promises';
import { runOverlayctl } from '../cli/overlayctl.js';

// `overlayctl report | head` is no failure: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

process.exitCode = await runOverlayctl(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms) => sleep(ms),
});
