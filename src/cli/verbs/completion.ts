import { EXIT_DONE, usageFailure } from '../failure.js';
import { GLOBAL_OPTIONS } from '../global-options.js';
import type { Verb } from '../verb.js';

/*
 * Bash expands what `compgen -W` is given, and nicknames are other people's words: only those of harmless characters
 * are offered.
 */
const PEER_WORDS =
  '$(overlayctl "${globals[@]}" peers 2>/dev/null | awk \'NR > 1 && $1 ~ /^[A-Za-z0-9._~-]+$/ {print $1}\')';

const START = `# bash completion for overlayctl; made by 'overlayctl completion bash'
_overlayctl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb= word i
  local globals=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      --socket) globals+=(--socket "\${COMP_WORDS[i+1]}"); ((i++)) ;;
      -*) ;;
      *) verb=$word; break ;;
    esac
  done
  if [[ $prev == --socket ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
    return
  fi
`;

/** A function of the verbs: the table that lists them lists this one too. */
export function completionVerb(verbs: () => readonly Verb[]): Verb {
  return {
    name: 'completion',
    summary: 'print the completion script for a shell',
    synopsis: '[bash]',
    minArguments: 0,
    maxArguments: 1,
    options: {},
    description: ['Prints a script that completes verbs, options and peer names in bash.'],
    examples: [
      'source <(overlayctl completion bash)',
      'overlayctl completion bash > /etc/bash_completion.d/overlayctl',
    ],
    run: (call) => {
      const shell = call.arguments[0] ?? 'bash';
      if (shell !== 'bash') {
        throw usageFailure(`There is no completion for '${shell}'`, shell, 'Only bash is there.');
      }
      call.context.out(bashScript(verbs()));
      return Promise.resolve(EXIT_DONE);
    },
  };
}

function bashScript(verbs: readonly Verb[]): string {
  const globals = optionWords(Object.keys(GLOBAL_OPTIONS));
  const names = verbs.map(({ name }) => name).join(' ');
  const cases = verbs.map(({ name, options, synopsis, words: firsts = [] }) => {
    const words = `${optionWords(Object.keys(options))} ${globals}`.trim();
    const peers = synopsis.includes('<peer>') ? ` ${PEER_WORDS}` : '';
    const help = name === 'help' ? ` ${names}` : '';
    const first = firsts.length > 0 ? ` ${firsts.join(' ')}` : '';
    return `    ${name}) words="${words}${first}${help}${peers}" ;;`;
  });
  return `${START}  local words="${names} ${globals}"
  case $verb in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _overlayctl overlayctl
`;
}

function optionWords(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(' ');
}
