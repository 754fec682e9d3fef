import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError, loadCode } from '../errors.js';
import type { EventStore } from '../store/event-store.js';
import { readSigner } from '../store/on-demand.js';
import { type CommandContext, isForPeople } from './context.js';
import { noticeLine } from './failure.js';
import type { ImageSource } from './query.js';
import { type Progress, progressBar } from './render/progress.js';
import { localText } from './render/text.js';
import { momentsOf, whenIn } from './option-values.js';

/** Wait for another process to release the store; most commands finish sooner. */
const LOCK_PATIENCE_MS = 1_000;
const LOCK_RETRY_MS = 50;
/** A replay that is done sooner draws no bar. */
const SHORT_REPLAY_MS = 1_000;

/** Store access: `create` creates it if missing; `free` frees space, even on a full disk. */
type StoreUse = 'read' | 'write' | 'free' | 'create';

/**
 * Opens the store for a command; the caller closes it. Waits up to a second for the lock.
 * @throws {StoreError} STORE_NOT_FOUND, STORE_LOCKED, and any error of opening
 */
export async function openFor(context: CommandContext, use: StoreUse): Promise<EventStore> {
  return whenUnlocked(context, () => openNow(context, use));
}

/** Runs `attempt`, retrying for a second while another process holds the store. */
export async function whenUnlocked<Result>(
  { signal }: CommandContext,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (let waitedMs = 0; waitedMs < LOCK_PATIENCE_MS; waitedMs += LOCK_RETRY_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (!isStoreError(error, 'STORE_LOCKED')) throw error;
    }
    await delay(LOCK_RETRY_MS, undefined, { signal });
  }
  return attempt();
}

async function openNow(context: CommandContext, use: StoreUse): Promise<EventStore> {
  const { directory, write, keyFile, io, err, errColors, signal } = context;
  // Readers sign nothing and need no key.
  const signer = use === 'read' || keyFile === undefined ? undefined : await readSigner(keyFile);
  const { openStore } = await loadCode('of an open store', import('../store/open/open-store.js'));
  const replay = replayProgress(context);
  const opening = openStore(directory, {
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
 * Opens the store for reading as of the context's point in time; the caller disposes it.
 * @throws {StoreError} TIME_OUT_OF_RANGE, and those of `openFor`
 */
export async function openReading(context: CommandContext): Promise<Reading> {
  const store = await openFor(context, 'read');
  try {
    return { ...(await readingOf(context, store)), [Symbol.asyncDispose]: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function readingOf(context: CommandContext, store: EventStore): Promise<Omit<Reading, keyof AsyncDisposable>> {
  const { at, io, signal } = context;
  if (at === undefined) {
    const { seq, time } = store.log.head;
    return { store, images: store, seq, time: io.now(), eventTime: seq === 0 ? undefined : time, isPast: false };
  }
  const images = await store.at(whenIn(store, at), { signal });
  const { seq } = images;
  const eventTime = seq === 0 ? undefined : images.time;
  // An unfinished day counts up to now.
  const time = Math.min(io.now(), momentsOf(at, io.now())?.last ?? images.time);
  await tellWhen(context, seq, images.time);
  return { store, images, seq, time, eventTime, isPast: true };
}

/** Prints the resolved moment to standard error, since the user may have typed `2h`. */
async function tellWhen(context: CommandContext, seq: number, time: number): Promise<void> {
  if (!isForPeople(context)) return;
  const { err, errColors, io } = context;
  const words = seq === 0 ? 'before the first event' : `after event ${seq} of ${localText(time, io.timeZone)}`;
  await err.line(errColors.dim(`as it was ${words}`));
}
