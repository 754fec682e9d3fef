import { loadCode } from '../errors.js';
import type { EventStore } from '../store/event-store.js';
import { readSigner } from '../store/on-demand.js';
import { type CommandContext, isForPeople } from './context.js';
import { noticeLine } from './failure.js';
import type { ImageSource } from './query.js';
import { localText, printable } from './render/text.js';
import { momentsOf, whenIn } from './option-values.js';

/** A person is told of a wait that takes longer. */
const LOCK_NOTICE_MS = 1_000;

/** Store access: `create` creates it if missing; `free` frees space, even on a full disk. */
type StoreUse = 'read' | 'write' | 'free' | 'create';

/**
 * Opens the store for a command; the caller closes it. Waits for the lock as `--wait` says.
 * @throws {StoreError} STORE_NOT_FOUND, STORE_LOCKED, and any error of opening
 */
export async function openFor(context: CommandContext, use: StoreUse): Promise<EventStore> {
  return whenUnlocked(context, () => openNow(context, use));
}

/**
 * Runs `attempt`, retrying it as long as `--wait` says while another process holds a lock.
 * @throws {StoreError} STORE_LOCKED after that
 */
export async function whenUnlocked<Result>(context: CommandContext, attempt: () => Promise<Result>): Promise<Result> {
  const { signal, waitMs, err, errColors, quiet } = context;
  const lock = await loadCode('of locks', import('../store/open/lock-wait.js'));
  return lock.whenUnlocked(attempt, {
    lockTimeoutMs: waitMs,
    signal,
    onWait: ({ data }, waitedMs) => {
      if (waitedMs < LOCK_NOTICE_MS || quiet || !err.isTerminal) return;
      const holder = data['pid'] === undefined ? 'another process' : `process ${data['pid']}`;
      err.post(errColors.dim(printable(`waiting for ${holder}, which has ${data['directory'] ?? 'the store'} open …`)));
    },
  });
}

async function openNow(context: CommandContext, use: StoreUse): Promise<EventStore> {
  const { directory, write, keyFile, io, err, errColors, signal } = context;
  // Readers sign nothing and need no key.
  const signer = use === 'read' || keyFile === undefined ? undefined : await readSigner(keyFile);
  const { openStore } = await loadCode('of an open store', import('../store/open/open-store.js'));
  return openStore(directory, {
    create: use === 'create',
    readOnly: use === 'read',
    useReserve: use === 'free',
    // In `log --actor` the option filters events; nothing is written.
    actor: use === 'read' ? undefined : write.actor,
    signer,
    now: io.now,
    onNotice: (notice) => err.post(noticeLine(notice, errColors)),
    signal,
  });
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
