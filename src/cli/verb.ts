import type { ApiClient } from './client.js';
import type { CliContext } from './context.js';

export interface VerbOption {
  /** Placeholder of the value in help; without one the option is a switch. */
  readonly value?: string;
  /** It may be given several times; its values come joined by commas. */
  readonly isList?: true;
  readonly help: string;
}

/** One word of `overlayctl`. Parsing, help and completion are made from this; nothing about a verb is written twice. */
export interface Verb {
  readonly name: string;
  /** One line of the verb list. */
  readonly summary: string;
  /** Positional arguments as shown in help: `<peer>`, `<endpoint>...`. */
  readonly synopsis: string;
  /** What the first argument may be, where it is one of a few words. */
  readonly words?: readonly string[];
  readonly minArguments: number;
  readonly maxArguments: number;
  readonly options: Readonly<Record<string, VerbOption>>;
  /** Paragraphs of the verb's help. */
  readonly description: readonly string[];
  readonly examples: readonly string[];
  /** @returns the exit code. Failures are thrown (failure.ts). */
  readonly run: (call: VerbCall) => Promise<number>;
}

export interface VerbCall {
  readonly arguments: readonly string[];
  /** Value of an option, undefined when absent. */
  readonly option: (name: string) => string | undefined;
  readonly isSet: (name: string) => boolean;
  readonly isJson: boolean;
  readonly client: ApiClient;
  readonly context: CliContext;
  /** Prints the document with --json, else the lines made from it. */
  readonly print: (document: object, lines: () => readonly string[]) => void;
}
