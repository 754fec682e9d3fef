import { Readable, Writable } from 'node:stream';
import { type Actions, lazyActions } from '../../src/cli/actions.js';
import { run } from '../../src/cli/run.js';

/** What a command line was understood as. */
export interface Understood {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The action that was called, and what it was given after its context. */
  readonly action: keyof Actions | undefined;
  readonly args: readonly unknown[];
}

/** Runs a command line over actions that do nothing but remember. */
export async function understand(...argv: string[]): Promise<Understood> {
  let called: Pick<Understood, 'action' | 'args'> = { action: undefined, args: [] };
  const names = Object.keys(lazyActions) as (keyof Actions)[];
  const remember =
    (action: keyof Actions): unknown =>
    async (_context: unknown, ...args: unknown[]) => {
      called = { action, args: args.map(ownFlags) };
    };
  const actions = Object.fromEntries(names.map((name) => [name, remember(name)])) as unknown as Actions;
  const stdout = new Text();
  const stderr = new Text();
  const io = { stdin: Readable.from([]), stdout, stderr, env: {}, now: () => 0, signal: new AbortController().signal };
  const code = await run(argv, io, actions);
  return { code, stdout: stdout.text, stderr: stderr.text, ...called };
}

/** The commands of the command line, as its actions name them. */
export const commandNames = Object.keys(lazyActions) as (keyof Actions)[];

// `color` is true on every command, as `--no-color` is there on every command.
function ownFlags(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null || !('color' in argument)) return argument;
  const { color, ...own } = argument;
  return own;
}

class Text extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
