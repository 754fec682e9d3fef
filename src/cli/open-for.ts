import { isStoreError, loadCode, StoreError } from '../errors.js';
import { familiarReference } from '../model/reference.js';
import type { EventStore } from '../store/event-store.js';
import type { OpenOptions } from '../store/store.js';
import { readSigner } from '../store/on-demand.js';
import type { StoredEvent } from '../model/events.js';
import type { CommandContext } from './context.js';
import { CommandDeclined, UsageError } from './exit-codes.js';
import { noticeLine } from './failure.js';
import { momentsOf } from './option-values.js';
import { decidingEvent, type ImageSource } from './query.js';
import { type Progress, progressBar } from './render/progress.js';
import { printable } from '../model/texts.js';
import { zonedMinuteText } from './render/times.js';
import { socketPathOf } from './store-directory.js';

/** A person is told of a wait that takes longer. */
const LOCK_NOTICE_MS = 1_000;
/** A replay that is done sooner draws no bar. */
const SHORT_REPLAY_MS = 1_000;

/** Store access: `create` creates it if missing; `free` frees space, even on a full disk. */
type StoreUse = 'read' | 'write' | 'free' | 'create';

/**
 * Opens the store for a command; the caller closes it. Waits for the lock as `--wait` says. In a
 * server it is the one that the server has open.
 * @throws {StoreError} STORE_NOT_FOUND, STORE_LOCKED, and any error of opening; ACCESS_DENIED
 */
export async function openFor(
  context: CommandContext,
  use: StoreUse,
  more: Pick<OpenOptions, 'uploads'> = {},
): Promise<EventStore> {
  if (context.io.client !== undefined) return servedStore(context, use);
  return whenUnlocked(context, () => openNow(context, use, more));
}

function servedStore({ io: { client }, may, keyFile }: CommandContext, use: StoreUse): EventStore {
  if (client === undefined) throw new StoreError('INTERNAL', 'the command runs in no server');
  if (use === 'read') {
    client.mustBeAllowed('read');
    return client.store;
  }
  client.mustBeAllowed(may ?? 'admin');
  if (keyFile === undefined) return client.store;
  // A private key does not leave its machine.
  if (client.store.verifierKey !== undefined) {
    throw new UsageError('the server that holds the store signs with its own key: leave out --key');
  }
  throw new UsageError('the server that holds the store has no key, and signs nothing: leave out --key', {
    hint: '`imagelog serve --key FILE` signs; it makes no difference to what is loaded or tagged',
  });
}

/**
 * Runs `attempt`, retrying it as long as `--wait` says while another process holds a lock.
 * @throws {StoreError} STORE_LOCKED after that
 */
export async function whenUnlocked<Result>(context: CommandContext, attempt: () => Promise<Result>): Promise<Result> {
  const { signal, waitMs, err, errColors, quiet } = context;
  try {
    return await attempt();
  } catch (error) {
    if (!isStoreError(error, 'STORE_LOCKED')) throw error;
    // A server holds it for days.
    const held = await heldByServer(error, context);
    if (held !== undefined) throw held;
  }
  const lock = await loadCode('of locks', import('../store/open/lock.js'));
  return lock.whenUnlocked(() => unlessServed(context, attempt), {
    lockTimeoutMs: waitMs,
    signal,
    onWait: ({ data }, waitedMs) => {
      if (waitedMs < LOCK_NOTICE_MS || quiet || !err.isTerminal) return;
      const holder = data['pid'] === undefined ? 'another process' : `process ${data['pid']}`;
      err.post(errColors.dim(printable(`waiting for ${holder}, which has ${data['directory'] ?? 'the store'} open …`)));
    },
  });
}

/**
 * Returns a STORE_LOCKED error that tells of the server that holds the store; undefined if none does,
 * as then the holder may end soon.
 * @throws {CommandDeclined} if the server may run the command
 */
async function heldByServer(
  error: StoreError,
  { directory, may, io }: CommandContext,
): Promise<StoreError | undefined> {
  if (error.data['directory'] !== directory) return undefined;
  const socket = socketPathOf(directory);
  const { isAnswering } = await loadCode('of servers', import('../server/service/socket.js'));
  if (!(await isAnswering(socket).catch(() => false))) return undefined;
  if (may !== undefined && io.onServerFound !== undefined) {
    io.onServerFound();
    throw new CommandDeclined('a server runs the command');
  }
  const hint =
    may === undefined
      ? 'this command needs the store for itself: stop the server first'
      : 'without --no-host the command runs in that server, if it is `imagelog serve`; else stop it first';
  const data = { ...error.data, socket, hint };
  return new StoreError('STORE_LOCKED', `${error.message}, which serves it at ${socket}`, { cause: error, data });
}

/** A server that starts has the lock before it listens. */
async function unlessServed<Result>(context: CommandContext, attempt: () => Promise<Result>): Promise<Result> {
  try {
    return await attempt();
  } catch (error) {
    if (isStoreError(error, 'STORE_LOCKED')) await heldByServer(error, context);
    throw error;
  }
}

async function openNow(
  context: CommandContext,
  use: StoreUse,
  more: Pick<OpenOptions, 'uploads'>,
): Promise<EventStore> {
  const { directory, write, keyFile, io, err, errColors, signal } = context;
  // Readers sign nothing and need no key.
  const signer = use === 'read' || keyFile === undefined ? undefined : await readSigner(keyFile);
  const { openStore } = await loadCode('of an open store', import('../store/open/open-store.js'));
  const replay = replayProgress(context);
  const opening = openStore(directory, {
    ...more,
    create: use === 'create',
    readOnly: use === 'read',
    useReserve: use === 'free',
    // In `log --actor` the option filters events; nothing is written.
    actor: use === 'read' ? undefined : write.actor,
    signer,
    now: io.now,
    onNotice: (notice) => err.post(noticeLine(notice, errColors)),
    onProgress: replay.update,
    signal,
  });
  return opening.finally(replay.end);
}

/** Progress of a replay, as after a restore, that takes longer than most opens. */
function replayProgress(context: CommandContext): Progress {
  const { io } = context;
  const startedAt = io.now();
  const progress = progressBar(context, 'replay events', String);
  return {
    ...progress,
    update: (done, total) => {
      if (io.now() - startedAt >= SHORT_REPLAY_MS) progress.update(done, total);
    },
  };
}

/** A store open for reading, and the point in time queried. */
export interface Reading extends AsyncDisposable {
  readonly store: EventStore;
  readonly images: ImageSource;
  /** The last event included. */
  readonly seq: number;
  /** The moment of the answer, milliseconds since the epoch. */
  readonly time: number;
  /** Time of the last event; undefined without events. */
  readonly eventTime: number | undefined;
  readonly isPast: boolean;
}

/**
 * Opens the store for reading as of the context's point in time; the caller disposes it. Tells
 * which event decided the answer, unless the caller does so with `tellDeciding`.
 * @throws {StoreError} TIME_OUT_OF_RANGE, and those of `openFor`
 */
export async function openReading(context: CommandContext, { tells = true } = {}): Promise<Reading> {
  const store = await openFor(context, 'read');
  try {
    const reading = { ...(await readingOf(context, store)), [Symbol.asyncDispose]: () => store.close() };
    if (tells) await tellLast(context, reading);
    return reading;
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function readingOf(context: CommandContext, store: EventStore): Promise<Omit<Reading, keyof AsyncDisposable>> {
  const { at, io, signal, timeZone } = context;
  if (at === undefined) {
    const { seq, time } = store.log.head;
    return { store, images: store, seq, time: io.now(), eventTime: seq === 0 ? undefined : time, isPast: false };
  }
  const images = await store.at(at, { timeZone, signal });
  const { seq } = images;
  const eventTime = seq === 0 ? undefined : images.time;
  // An unfinished day counts up to now.
  const time = Math.min(io.now(), momentsOf(at, context)?.last ?? images.time);
  return { store, images, seq, time, eventTime, isPast: true };
}

/** What `tellDeciding` needs of a reading. */
type PastPoint = Pick<Reading, 'store' | 'seq' | 'isPast'>;

/**
 * Prints to standard error which event set or removed each reference of a past answer: it may be
 * long before the point in time. For anything else, the last event included.
 */
export async function tellDeciding(
  context: CommandContext,
  reading: PastPoint,
  references: readonly (string | undefined)[],
): Promise<void> {
  if (!reading.isPast || context.quiet) return;
  let isUndecided = references.length === 0;
  for (const reference of references) {
    const event =
      reference === undefined ? undefined : await decidingEvent(reading.store, reference, reading.seq, context.signal);
    isUndecided ||= event === undefined;
    const verb = event?.type === 'ReferenceRemoved' ? 'removed' : 'set';
    if (event !== undefined) await tell(context, event, verb, references.length > 1 ? reference : undefined);
  }
  if (isUndecided) await tellLast(context, reading);
}

async function tellLast(context: CommandContext, { store, seq, isPast }: PastPoint): Promise<void> {
  if (!isPast || context.quiet) return;
  const { err, errColors, signal } = context;
  if (seq === 0) return err.line(errColors.dim('as of the beginning, before the first event'));
  for await (const event of store.log.read({ from: seq, limit: 1, signal })) await tell(context, event);
}

async function tell(
  { err, errColors, timeZone }: CommandContext,
  { seq, time, actor }: StoredEvent,
  verb?: string,
  reference?: string,
): Promise<void> {
  const what = reference === undefined ? '' : `${printable(familiarReference(reference))} `;
  const by = `${verb === undefined ? '' : `${verb} `}by ${printable(actor)}`;
  await err.line(errColors.dim(`${what}as of event ${seq}, ${zonedMinuteText(time, timeZone)}, ${by}`));
}
