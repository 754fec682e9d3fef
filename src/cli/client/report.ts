import { commands } from '../commands.js';
import { reportFailure } from '../failure.js';
import { type CliIo, Output } from '../output.js';
import { TypedLine } from '../typed-line.js';

/** Prints why a server did not run a command to its end, and returns the exit code. */
export async function reportClientFailure(argv: readonly string[], io: CliIo, error: unknown): Promise<number> {
  const outputs = { out: new Output(io.stdout), err: new Output(io.stderr) };
  const reporting = { color: !argv.includes('--no-color'), typed: new TypedLine(commands) };
  const code = await reportFailure(error, io, outputs, reporting);
  await outputs.err.flush();
  return code;
}
