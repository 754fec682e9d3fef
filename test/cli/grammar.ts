import { Readable, Writable } from 'node:stream';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/run.js';

/** What a command line was understood as. */
export interface Understood {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The command whose action was called, and what it was given after its context. */
  readonly action: string | undefined;
  readonly args: readonly unknown[];
}

/** Runs a command line over actions that do nothing but remember. */
export async function understand(...argv: string[]): Promise<Understood> {
  let called: Pick<Understood, 'action' | 'args'> = { action: undefined, args: [] };
  const stdout = new Text();
  const stderr = new Text();
  const io = { stdin: Readable.from([]), stdout, stderr, env: {}, now: () => 0, signal: new AbortController().signal };
  const code = await run(argv, io, async (name, action, args) => {
    // What it does is to understand the command that follows.
    if (name === 'at') await action();
    else called = { action: name, args: args.map(ownFlags) };
  });
  return { code, stdout: stdout.text, stderr: stderr.text, ...called };
}

/** The commands of the command line, those below others too. */
export const commandNames: readonly string[] = [
  ...commands.map(({ usage }) => usage.replace(/ .*/, '')),
  'consumers reset',
  'consumers rm',
];

// These are true on every command, as `--no-color` and the like are there on every command.
function ownFlags(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null || !('color' in argument)) return argument;
  const { color, trunc, pager, ...own } = argument as Readonly<Record<string, unknown>>;
  return own;
}

class Text extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
