import { EXIT_DONE } from '../failure.js';
import { overviewHelp, verbHelp } from '../help.js';
import type { Verb } from '../verb.js';

export function helpVerb(verbs: () => readonly Verb[], find: (name: string) => Verb): Verb {
  return {
    name: 'help',
    summary: 'list the verbs, or explain one',
    synopsis: '[verb]',
    minArguments: 0,
    maxArguments: 1,
    options: {},
    description: ["The same as 'overlayctl --help' and 'overlayctl <verb> --help'."],
    examples: ['overlayctl help status'],
    run: (call) => {
      const [name] = call.arguments;
      const lines = name === undefined ? overviewHelp(verbs()) : verbHelp(find(name));
      call.context.out(`${lines.join('\n')}\n`);
      return Promise.resolve(EXIT_DONE);
    },
  };
}
