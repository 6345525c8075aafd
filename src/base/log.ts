import { pino, stdTimeFunctions } from 'pino';

/*
 * JSON lines on standard error, or coloured text for a terminal. Secrets stay out three times: nobody logs them, the
 * names below are struck out, and bytes of any kind show only their number.
 */

const SECRET_FIELDS = [
  'password',
  'prs',
  'passwordPrs',
  'secretKey',
  'seed',
  'key',
  'pairKey',
  'rekeySecret',
];

export interface LogOptions {
  readonly level: string;
  /** Makes a line readable for people at a terminal; without it lines are JSON. */
  readonly prettify?: (line: string) => string;
  /** Where lines go: standard error, or a test's string collector. */
  readonly destination: LogDestination;
}

export interface LogDestination {
  write(line: string): void;
}

export interface Log {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
  /** debug, info, warn or error; takes effect at once. */
  setLevel(level: string): void;
}

/** Loaded only where there is a terminal: under systemd its memory is better saved. */
export async function loadPrettifier(): Promise<(line: string) => string> {
  const { default: pinoPretty } = await import('pino-pretty');
  return pinoPretty.prettyFactory({
    colorize: true,
    translateTime: 'SYS:HH:MM:ss.l',
    // Of events: their place in the ring, and the time that the line begins with.
    ignore: 'seq,at',
  });
}

export function createLog(options: LogOptions): Log {
  const { prettify, destination } = options;
  const stream =
    prettify === undefined
      ? destination
      : { write: (line: string) => destination.write(prettify(line)) };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: {
        paths: [...SECRET_FIELDS, ...SECRET_FIELDS.map((name) => `*.${name}`)],
        censor: '[secret]',
      },
      formatters: { level: (label) => ({ level: label }), log: hideBytes },
    },
    stream,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    setLevel: (level) => {
      logger.level = level;
    },
  };
}

function hideBytes(fields: Record<string, unknown>): Record<string, unknown> {
  if (!Object.values(fields).some((value) => value instanceof Uint8Array)) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? `[${value.length} bytes]` : value,
    ]),
  );
}
