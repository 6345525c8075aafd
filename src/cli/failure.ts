import type { ErrorDocument } from '../api/http-error.js';
import type { ErrorCode } from '../base/errors.js';
import { OverlayError } from '../base/errors.js';
import { escapedJson, printable } from './render/text.js';

export const EXIT_DONE = 0;
export const EXIT_REFUSED = 1;
export const EXIT_USAGE = 2;
export const EXIT_UNREACHABLE = 3;

/** What ends a verb early. The code is any text: it may come from a daemon newer than this overlayctl. */
export class CliFailure extends Error {
  readonly code: string;
  readonly cure: string;
  readonly value: string;
  readonly exitCode: number;
  /** No daemon runs behind the socket, as against one that cannot be asked. */
  readonly isAbsent: boolean;

  constructor(options: {
    code: string;
    message: string;
    cure: string;
    value?: string;
    exitCode: number;
    isAbsent?: boolean;
  }) {
    super(options.message);
    this.name = 'CliFailure';
    this.code = options.code;
    this.cure = options.cure;
    this.value = options.value ?? '';
    this.exitCode = options.exitCode;
    this.isAbsent = options.isAbsent ?? false;
  }
}

export function usageFailure(message: string, value: string, cure: string): CliFailure {
  return new CliFailure({ code: 'OVL_USAGE', message, value, cure, exitCode: EXIT_USAGE });
}

export function unreachable(
  message: string,
  socketPath: string,
  cure: string,
  isAbsent = false,
): CliFailure {
  return new CliFailure({
    code: 'OVL_UNREACHABLE',
    message,
    value: socketPath,
    cure,
    exitCode: EXIT_UNREACHABLE,
    isAbsent,
  });
}

export function refused(code: ErrorCode, message: string, value: string, cure: string): CliFailure {
  return new CliFailure({ code, message, value, cure, exitCode: EXIT_REFUSED });
}

/** Codes that say: what was typed cannot be meant. Whether the daemon or overlayctl noticed makes no difference. */
const USAGE_CODES: readonly string[] = [
  'OVL_USAGE',
  'OVL_SOCKET_PATH',
  'OVL_ENDPOINT_INVALID',
  'OVL_ADDRESS_INVALID',
  'OVL_NAME_INVALID',
];

export function exitCodeOf(code: string): number {
  return USAGE_CODES.includes(code) ? EXIT_USAGE : EXIT_REFUSED;
}

export function toCliFailure(error: unknown): CliFailure {
  if (error instanceof CliFailure) return error;
  if (error instanceof OverlayError) {
    return new CliFailure({
      code: error.code,
      message: error.message,
      value: error.value,
      cure: error.cure,
      exitCode: exitCodeOf(error.code),
    });
  }
  return refused(
    'OVL_INTERNAL',
    `Unexpected failure: ${error instanceof Error ? error.message : String(error)}`,
    '',
    'This is a bug in overlayctl: report the command and this line.',
  );
}

/** The line (or JSON document) for stderr. */
export function renderFailure(failure: CliFailure, asJson: boolean): string {
  if (asJson) {
    const document: ErrorDocument = {
      error: {
        code: failure.code,
        message: failure.message,
        value: failure.value,
        cure: failure.cure,
      },
    };
    return `${escapedJson(document)}\n`;
  }
  return `error: ${printable(failure.message)} (${printable(failure.code)}). ${printable(failure.cure)}\n`;
}
