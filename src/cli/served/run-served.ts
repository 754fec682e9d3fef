import { StoreError } from '../../errors.js';
import type { Action } from '../../server/access/access.js';
import {
  type CommandCall,
  CommandStopped,
  FrameError,
  fromClient,
  fromServer,
  objectOf,
  type RunCommand,
  STDIN_STREAM,
} from '../../server/command/frames.js';
import type { EventStore } from '../../store/event-store.js';
import type { WriteOptions } from '../../store/store.js';
import type { PulledContent } from '../../registry-client/pull.js';
import type { CommandClient, PullRequest } from '../command-files.js';
import { CommandDeclined, Interruption, isInterruptionSignal } from '../exit-codes.js';
import { noticeLine } from '../failure.js';
import type { CliIo } from '../output.js';
import { colorsFor } from '../render/text.js';
import { clientFiles, clientPull } from './client-files.js';
import { type ClientInput, ClientLink, ClientOutput } from './client-link.js';
import { type CommandStart, parseStart } from './command-start.js';

/** The command line: `run`. */
type RunLine = (argv: readonly string[], io: CliIo) => Promise<number>;

/**
 * Returns what runs the command of a client in the server's process and on its open store; for the option
 * `runCommand` of `createServer`. All that the command reads and writes beside the store is the
 * client's.
 */
export function servedRunner(run: RunLine): RunCommand {
  return (call) => runServed(call, run);
}

async function runServed(call: CommandCall, run: RunLine): Promise<void> {
  const { channel, frames, grant } = call;
  const start = parseStart(objectOf(call.start));
  const link = new ClientLink(channel);
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, stopped(call.signal)]);
  void receive(frames, link, gone);
  const client = new ServedClient(call, start, { link, signal });
  const { stdin, stdout, stderr, now, timeZone, env } = start;
  const startedAt = Date.now();
  let input: ClientInput | undefined;
  const isAdmin = grant.may('admin');
  const code = await run(start.argv, {
    get stdin() {
      input ??= Object.assign(link.input(STDIN_STREAM), { isTTY: stdin.isTTY });
      return input;
    },
    stdout: new ClientOutput(link, 'stdout', stdout),
    stderr: client.stderr(stderr),
    // Stacks name files of the server.
    env: isAdmin ? env : { ...env, IMAGELOG_DEBUG: undefined },
    // The client's clock says what `2h` means.
    now: () => now + Date.now() - startedAt,
    timeZone,
    signal,
    client,
  });
  await channel.json(fromServer.exit, { code, declined: client.isDeclined });
}

/** Takes all frames of the client; its end aborts the command. */
async function receive(frames: CommandCall['frames'], link: ClientLink, gone: AbortController): Promise<void> {
  let end = new Error('the client is gone');
  try {
    for await (const frame of frames) {
      const other = link.receive(frame);
      if (other === undefined || other.kind === fromClient.alive) continue;
      if (other.kind !== fromClient.interrupt) throw new FrameError(`a frame of the kind ${other.kind}`);
      const { by, message } = objectOf(other);
      gone.abort(isInterruptionSignal(by) ? new Interruption(by) : new Error(String(message)));
    }
  } catch (error) {
    end = error instanceof Error ? error : new Error(String(error));
  }
  gone.abort(end);
  link.lose(end);
}

/** Returns a signal that says to the client why the server stops. */
function stopped(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    const { reason } = signal;
    const why = reason instanceof CommandStopped ? reason.message : 'it is stopping';
    const hint = 'run the command again once the server is back; `imagelog log` shows what was written';
    controller.abort(new StoreError('SERVER_BUSY', `the server ended the command: ${why}`, { data: { hint } }));
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return controller.signal;
}

/** What the server gives the command of a client. */
class ServedClient implements CommandClient {
  readonly store: EventStore;
  readonly files: CommandClient['files'];
  readonly pager: string | undefined;
  readonly #asked: Parameters<CommandClient['mustBeAsked']>[0];
  readonly #call: CommandCall;
  readonly #start: CommandStart;
  readonly #link: ClientLink;
  readonly #signal: AbortSignal;
  #stderr: ClientOutput | undefined;
  #actor: { readonly typed: string | undefined; readonly variable: string | undefined } | undefined;
  #isDeclined = false;

  constructor(
    call: CommandCall,
    start: CommandStart,
    { link, signal }: { readonly link: ClientLink; readonly signal: AbortSignal },
  ) {
    this.store = borrowed(call.store);
    this.files = clientFiles(link, signal);
    this.pager = start.pager;
    this.#asked = { store: start.store, host: start.host };
    this.#call = call;
    this.#start = start;
    this.#link = link;
    this.#signal = signal;
  }

  get isDeclined(): boolean {
    return this.#isDeclined;
  }

  stderr(facts: CommandStart['stderr']): ClientOutput {
    this.#stderr = new ClientOutput(this.#link, 'stderr', facts);
    return this.#stderr;
  }

  mustBeAsked({ store, host }: Parameters<CommandClient['mustBeAsked']>[0]): void {
    if (this.#asked.store !== store || this.#asked.host !== host) this.decline();
  }

  decline(): never {
    this.#isDeclined = true;
    throw new CommandDeclined('the client runs the command');
  }

  mustBeAllowed(action: Action): void {
    const { grant } = this.#call;
    const who = grant.actor === undefined ? 'this client' : grant.actor;
    if (!grant.may(action)) {
      // Rights for some repositories are not enough: a command sees all of them.
      const rules = grant.hasRights && !grant.may('read') ? ' in the whole store: its rules name repositories' : '';
      throw denied(`the server does not allow ${who} to ${VERBS[action]}${rules}`);
    }
    if (action === 'read' || grant.mayNameActor || this.#actor === undefined) return;
    const { typed, variable } = this.#actor;
    const isOther = (name: string | undefined): boolean => name !== undefined && name !== grant.actor;
    if (isOther(typed) && !grant.may('admin')) {
      throw denied(`the server knows this client as ${who}, which cannot write as ${typed}`, 'leave out --actor');
    }
    if (typed === undefined && isOther(variable)) this.#tell(`$IMAGELOG_ACTOR is not used: the actor is ${who}`);
  }

  originOf(actor: { readonly typed: string | undefined; readonly variable: string | undefined }): WriteOptions {
    this.#actor = actor;
    const { grant } = this.#call;
    const own = grant.mayNameActor
      ? (actor.typed ?? actor.variable ?? grant.actor ?? this.#start.actor)
      : ((grant.may('admin') ? namedBy(actor.typed, grant.actor) : undefined) ?? grant.actor);
    const { agent, traceparent, connection } = this.#call;
    const address = connection.address === '' ? undefined : connection.address;
    return { actor: own, via: 'command', address, agent, traceparent, requestId: this.#call.requestId };
  }

  pull(name: string, asked: PullRequest): Promise<PulledContent> {
    return clientPull(this.#link, name, asked, this.#signal);
  }

  openPager(): ClientOutput {
    return new ClientOutput(this.#link, 'pager', this.#start.stdout);
  }

  #tell(notice: string): void {
    if (this.#stderr === undefined) return;
    this.#stderr.write(`${noticeLine(notice, colorsFor(this.#stderr, this.#start.env, true))}\n`);
  }
}

/** An admin who names another actor stays in the record. An empty name is refused as it is. */
function namedBy(typed: string | undefined, own: string | undefined): string | undefined {
  const isOther = typed !== undefined && typed !== '' && own !== undefined && typed !== own;
  return isOther ? `${typed} (by ${own})` : typed;
}

const VERBS: Readonly<Record<Action, string>> = {
  read: 'read',
  push: 'add images and names',
  delete: 'remove images and names',
  admin: 'do that: it is for admins',
};

function denied(message: string, hint = 'ask who runs the server'): StoreError {
  return new StoreError('ACCESS_DENIED', message, { data: { hint } });
}

/** The server's store for a command, which closes what it opens. */
function borrowed(store: EventStore): EventStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'close' || name === Symbol.asyncDispose) return async () => undefined;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: readonly unknown[]): unknown => Reflect.apply(value, target, args);
    },
  });
}
