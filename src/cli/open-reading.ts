import type { EventStore } from '../store/event-store.js';
import { type CommandContext, isForPeople } from './context.js';
import { openFor } from './open-for.js';
import type { ImageSource } from './query/image-source.js';
import { localText } from './render/time-text.js';
import { momentsOf, whenIn } from './when.js';

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
