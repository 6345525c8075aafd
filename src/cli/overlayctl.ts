import { assertArguments, parseLine } from './arguments.js';
import { ApiClient } from './client.js';
import type { CliContext } from './context.js';
import { DEFAULT_SOCKET } from './context.js';
import { EXIT_DONE, renderFailure, toCliFailure, usageFailure } from './failure.js';
import { overviewHelp, verbHelp } from './help.js';
import { escapedJson } from './render/text.js';
import { VERBS } from './verbs.js';

/** Runs one command line and returns its exit code. Writes to stdout only when it succeeds. */
export async function runOverlayctl(argv: readonly string[], context: CliContext): Promise<number> {
  try {
    return await runLine(argv, context);
  } catch (error) {
    const failure = toCliFailure(error);
    context.err(renderFailure(failure, argv.includes('--json')));
    return failure.exitCode;
  }
}

async function runLine(argv: readonly string[], context: CliContext): Promise<number> {
  const { verb, arguments: args, values } = parseLine(argv);
  if (values.has('help')) {
    const lines = verb === undefined ? overviewHelp(VERBS) : verbHelp(verb);
    context.out(`${lines.join('\n')}\n`);
    return EXIT_DONE;
  }
  if (verb === undefined) {
    throw usageFailure(
      'No verb is given',
      '',
      "'overlayctl status' is where to begin; 'overlayctl --help' lists all verbs.",
    );
  }
  assertArguments(verb, args);
  const isJson = values.has('json');
  const option = (name: string): string | undefined => {
    const value = values.get(name);
    return value === true ? undefined : value;
  };
  return verb.run({
    arguments: args,
    option,
    isSet: (name) => values.has(name),
    isJson,
    client: new ApiClient(option('socket') ?? (context.env['OVERLAYD_SOCKET'] || DEFAULT_SOCKET)),
    context,
    print: (document, lines) => {
      context.out(
        isJson
          ? `${escapedJson(document)}\n`
          : lines()
              .map((line) => `${line}\n`)
              .join(''),
      );
    },
  });
}
