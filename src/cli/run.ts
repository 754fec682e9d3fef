import { type Actions, lazyActions } from './actions.js';
import { reportFailure } from './failure.js';
import { exitCodes } from './exit-codes.js';
import { type CliIo, Output, OutputFailed } from './output.js';
import { buildProgram } from './program.js';

/**
 * Runs one command line, `argv` without the program's name, and returns its
 * exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 damage, 130 and 143
 * interrupted. Never throws; everything it has to say is written and flushed.
 */
export async function run(argv: readonly string[], io: CliIo, actions: Actions = lazyActions): Promise<number> {
  const outputs = { out: new Output(io.stdout), err: new Output(io.stderr) };
  let code = await perform(argv, io, outputs, actions);
  await outputs.out.flush();
  // The last lines may fail after the action is done with them.
  const failure: unknown = outputs.out.closed.reason;
  if (code === exitCodes.done && failure instanceof OutputFailed) {
    code = await reportFailure(failure, io, outputs, wantsColor(argv));
  }
  await outputs.err.flush();
  return code;
}

async function perform(
  argv: readonly string[],
  io: CliIo,
  outputs: { readonly out: Output; readonly err: Output },
  actions: Actions,
): Promise<number> {
  const color = wantsColor(argv);
  try {
    await buildProgram(io, outputs, actions, color).parseAsync([...argv], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    return reportFailure(error, io, outputs, color);
  }
}

// Help and usage errors are written before the options are known.
function wantsColor(argv: readonly string[]): boolean {
  return !argv.includes('--no-color');
}
