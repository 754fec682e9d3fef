import { StoreError } from '../../errors.js';
import { COMMAND_ALIVE_MS, MAX_COMMAND_FRAME_BYTES } from '../../limits.js';
import {
  drained,
  type Frame,
  FrameChannel,
  FrameError,
  fromClient,
  fromServer,
  objectOf,
  type OutputName,
  streamData,
} from '../../server/command/frames.js';
import { defaultActor } from '../../store/open/default-actor.js';
import { Interruption, UsageError } from '../exit-codes.js';
import type { CliIo, OutputStream } from '../output.js';
import type { CommandStart } from '../served/command-start.js';
import { isSent } from '../served/sent-variables.js';
import { nonEmpty } from '../settings.js';
import { toWire } from '../wire-errors.js';
import { type Connection, nameOf } from './connect.js';
import type { OwnFiles } from './own-files.js';
import { zoneOf } from '../machine-time-zone.js';
import type { Target } from './target.js';

/** Outputs of the client, by the kind of frame with bytes for them. */
const OUTPUT_KINDS = { [fromServer.stdout]: 'stdout', [fromServer.stderr]: 'stderr' } as const;

/** A pager, which runs here. */
type Pager = OutputStream & { readonly exitCode: number | null | undefined; leave(): Promise<void> };

/** A command that goes to a server. */
interface RemoteCommand {
  readonly io: CliIo;
  readonly isInputTerminal: boolean;
  readonly target: Target;
  readonly connection: Connection;
}

/**
 * Has the server run a command line, with the inputs, outputs and files of this process. Returns the
 * exit code; undefined if the server leaves the command to this process, with nothing printed.
 * @throws {StoreError} OUTCOME_UNKNOWN if the server is lost while it may write, else
 *   SERVER_UNAVAILABLE
 * @throws {UsageError} for a command line that is too long
 */
export async function runRemote(
  argv: readonly string[],
  { io, isInputTerminal, target, connection: { socket, head } }: RemoteCommand,
): Promise<number | undefined> {
  const channel = new FrameChannel(socket, head);
  const start = JSON.stringify(await startOf(argv, { io, isInputTerminal, target }));
  if (Buffer.byteLength(start) >= MAX_COMMAND_FRAME_BYTES) {
    socket.destroy();
    throw new UsageError(`the command line has more than ${MAX_COMMAND_FRAME_BYTES} bytes, which no server takes`);
  }
  const remote = new RemoteRun(argv, io, channel);
  await channel.bytes(fromClient.start, Buffer.from(start));
  const interrupt = (): void => {
    const { reason } = io.signal;
    const words = reason instanceof Interruption ? { by: reason.by } : { message: String(Object(reason)['message']) };
    void channel.json(fromClient.interrupt, words);
  };
  if (io.signal.aborted) interrupt();
  else io.signal.addEventListener('abort', interrupt, { once: true });
  const alive = setInterval(() => void channel.bytes(fromClient.alive), COMMAND_ALIVE_MS).unref();
  try {
    for await (const frame of channel.frames()) {
      const exit = await remote.receive(frame);
      if (exit === undefined) continue;
      if (exit.declined === true) return undefined;
      if (target.may !== 'read') tellOfKey(argv, io);
      return exit.code;
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
  } finally {
    io.signal.removeEventListener('abort', interrupt);
    clearInterval(alive);
    socket.destroy();
    await remote.end();
  }
  throw lost(target);
}

/** A private key does not leave its machine: with `--key` the server refuses, a variable may be meant for others. */
function tellOfKey(argv: readonly string[], { env, stderr }: CliIo): void {
  const isTyped = argv.some((word) => word === '--key' || word.startsWith('--key='));
  if (isTyped || nonEmpty(env['IMAGELOG_KEY']) === undefined || stderr.destroyed) return;
  stderr.write('imagelog: notice: the key of $IMAGELOG_KEY is not used: a server signs with its own, or not at all\n');
}

/** The server said nothing of how the command ended. */
function lost(target: Target): StoreError {
  if (target.may === 'read') {
    return new StoreError('SERVER_UNAVAILABLE', `${nameOf(target)} was lost before the command ended`, {
      data: { hint: 'run the command again' },
    });
  }
  return new StoreError('OUTCOME_UNKNOWN', `${nameOf(target)} was lost before it said what the command did`);
}

async function startOf(
  argv: readonly string[],
  { io, isInputTerminal, target: { store, host } }: Omit<RemoteCommand, 'connection'>,
): Promise<CommandStart> {
  const [stdout, stderr] = [factsOf(io.stdout), factsOf(io.stderr)];
  const { timeZone, notice } = io.timeZone === undefined ? zoneOf(io.env['TZ']) : { timeZone: io.timeZone };
  if (notice !== undefined) io.stderr.write(`imagelog: notice: ${notice}\n`);
  const env = Object.entries(io.env).filter(([name, value]) => value !== undefined && isSent(name));
  return {
    argv,
    env: Object.fromEntries(env),
    stdin: { isTTY: isInputTerminal },
    stdout,
    stderr,
    now: io.now(),
    timeZone,
    actor: nonEmpty(io.env['IMAGELOG_ACTOR']) ?? defaultActor(),
    pager: stdout.isTTY ? await pagerOf(io.env) : undefined,
    store,
    host: typeof host === 'string' ? host : undefined,
  };
}

function factsOf({ isTTY, columns }: OutputStream): CommandStart['stdout'] {
  return { isTTY: isTTY === true, columns: isTTY === true ? (columns ?? 0) : 0 };
}

async function pagerOf(env: CliIo['env']): Promise<string | undefined> {
  const { pagerCommand } = await import('../pager.js');
  return pagerCommand(env);
}

/** One command in a server, as this process serves it. */
class RemoteRun {
  readonly #argv: readonly string[];
  readonly #io: CliIo;
  readonly #channel: FrameChannel;
  readonly #reported = new Set<OutputName>();
  #files: Promise<OwnFiles> | undefined;
  #pager: Pager | undefined;

  constructor(argv: readonly string[], io: CliIo, channel: FrameChannel) {
    this.#argv = argv;
    this.#io = io;
    this.#channel = channel;
    for (const name of ['stdout', 'stderr'] as const) {
      // The standard outputs of a process do not remember that they failed.
      io[name].on('error', (error: Error) => this.#reportFailure(name, error));
    }
  }

  /** Does what a frame says; resolves with the exit code that is in the last one. */
  async receive(frame: Frame): Promise<{ readonly code: number; readonly declined: unknown } | undefined> {
    switch (frame.kind) {
      case fromServer.stdout:
      case fromServer.stderr:
        await this.#write(OUTPUT_KINDS[frame.kind], this.#io[OUTPUT_KINDS[frame.kind]], frame.payload);
        return undefined;
      case fromServer.pager:
        this.#pager ??= await this.#startPager();
        await this.#write('pager', this.#pager, frame.payload);
        return undefined;
      case fromServer.request:
        this.#answer(objectOf(frame));
        return undefined;
      case fromServer.pull:
      case fromServer.cancel: {
        const { stream, bytes } = objectOf(frame);
        const files = await this.#ownFiles();
        if (frame.kind === fromServer.pull) files.grant(Number(stream), Number(bytes));
        else files.cancel(Number(stream));
        return undefined;
      }
      case fromServer.data: {
        const { stream, bytes } = streamData(frame);
        await (await this.#ownFiles()).receive(stream, bytes);
        return undefined;
      }
      case fromServer.end: {
        const { stream, error } = objectOf(frame);
        (await this.#ownFiles()).finish(Number(stream), error);
        return undefined;
      }
      case fromServer.exit: {
        const { code, declined } = objectOf(frame);
        return { code: typeof code === 'number' ? code : 1, declined };
      }
      default:
        throw new FrameError(`a frame of the kind ${frame.kind}`);
    }
  }

  /** Ends what the command left: a pager, streams. */
  async end(): Promise<void> {
    (await this.#files)?.end();
    await this.#pager?.leave();
  }

  #ownFiles(): Promise<OwnFiles> {
    this.#files ??= import('./own-files.js').then(
      ({ OwnFiles: Files }) => new Files(this.#argv, this.#io, this.#channel),
    );
    return this.#files;
  }

  async #startPager(): Promise<Pager> {
    const { pagerCommand, PagerProcess } = await import('../pager.js');
    const { env, stdout } = this.#io;
    const pager = new PagerProcess(pagerCommand(env) ?? 'cat', stdout.columns ?? 0, this.#io);
    pager.on('error', (error: Error) => this.#reportFailure('pager', error));
    return pager;
  }

  #answer(request: Readonly<Record<string, unknown>>): void {
    const { id } = request;
    const reply = (answer: object): void => void this.#channel.json(fromClient.reply, { id, ...answer });
    this.#perform(request).then(reply, (error: unknown) => reply({ error: toWire(error) }));
  }

  async #perform(request: Readonly<Record<string, unknown>>): Promise<object> {
    if (request['action'] === 'flush') return this.#flush(request['output']);
    if (request['action'] !== 'leavePager') return (await this.#ownFiles()).perform(request);
    await this.#pager?.leave();
    return { exitCode: this.#pager?.exitCode ?? null };
  }

  async #flush(output: unknown): Promise<object> {
    const stream = output === 'pager' ? this.#pager : this.#io[output === 'stdout' ? 'stdout' : 'stderr'];
    if (stream === undefined) return {};
    const failure = stream.destroyed
      ? stream.errored
      : await new Promise<Error | null | undefined>((resolve) => stream.write('', resolve));
    if (output === 'stdout' || output === 'stderr' || output === 'pager') this.#reportFailure(output, failure);
    return {};
  }

  async #write(output: OutputName, stream: OutputStream, bytes: Uint8Array): Promise<void> {
    if (this.#reported.has(output) || stream.destroyed || stream.write(bytes)) return;
    await drained(stream);
  }

  /** Tells the server once that an output has lost its reader, or failed. */
  #reportFailure(output: OutputName, failure: Error | null | undefined): void {
    if (failure === null || failure === undefined || this.#reported.has(output)) return;
    this.#reported.add(output);
    void this.#channel.json(fromClient.outputFailed, { output, error: toWire(failure) });
  }
}
