import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError, loadCode } from '../errors.js';
import type { EventStore } from '../store/event-store.js';
import { readSigner } from '../store/on-demand.js';
import { type CommandContext, isForPeople } from './context.js';
import { noticeLine } from './failure.js';
import type { ImageSource } from './query.js';
import { localText } from './render/text.js';
import { momentsOf, whenIn } from './option-values.js';

/** How long a command waits for another process that has the store open: most commands are done in less. */
const LOCK_PATIENCE_MS = 1_000;
const LOCK_RETRY_MS = 50;

/** What a command does with the store: `create` makes it when it is missing, `free` makes room in it, on a full disk too. */
type StoreUse = 'read' | 'write' | 'free' | 'create';

/**
 * Opens the store for a command; the caller closes it. Waits a second for another command to close it.
 * @throws {StoreError} STORE_NOT_FOUND, STORE_LOCKED, and whatever opening meets
 */
export async function openFor(context: CommandContext, use: StoreUse): Promise<EventStore> {
  return whenUnlocked(context, () => openNow(context, use));
}

/** Resolves with what `attempt` does; tries for a second when another process has the store open. */
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
  // Whoever only reads signs nothing, and need not have the key.
  const signer = use === 'read' || keyFile === undefined ? undefined : await readSigner(keyFile);
  const { openStore } = await loadCode('of an open store', import('../store/open/open-store.js'));
  return openStore(directory, {
    create: use === 'create',
    readOnly: use === 'read',
    useReserve: use === 'free',
    // `log --actor` asks whose events to show: nobody writes there.
    actor: use === 'read' ? undefined : write.actor,
    signer,
    now: io.now,
    onNotice: (notice) => err.post(noticeLine(notice, errColors)),
    signal,
  });
}

/** A store that is open for a command that reads, and the point in time that it is asked at. */
export interface Reading extends AsyncDisposable {
  readonly store: EventStore;
  /** The images as of that point. */
  readonly images: ImageSource;
  /** The last event that counts. */
  readonly seq: number;
  /** The moment that the answer is for, milliseconds since the epoch. */
  readonly time: number;
  /** When its last event was; undefined when there is none. */
  readonly eventTime: number | undefined;
  readonly isPast: boolean;
}

/**
 * Opens the store for a command that reads, as of the context's point in time; the caller disposes it.
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
  // A day that is not over is asked about up to now.
  const time = Math.min(io.now(), momentsOf(at, io.now())?.last ?? images.time);
  await tellWhen(context, seq, images.time);
  return { store, images, seq, time, eventTime, isPast: true };
}

/** A person may have said `2h`: which moment that was goes to the standard error. */
async function tellWhen(context: CommandContext, seq: number, time: number): Promise<void> {
  if (!isForPeople(context)) return;
  const { err, errColors, io } = context;
  const words = seq === 0 ? 'before the first event' : `after event ${seq} of ${localText(time, io.timeZone)}`;
  await err.line(errColors.dim(`as it was ${words}`));
}
