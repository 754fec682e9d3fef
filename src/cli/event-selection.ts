import { StoreError } from '../errors.js';
import type { ChainId, ImageId } from '../model/digest.js';
import type { EventType } from '../model/events.js';
import { isPattern } from '../model/reference-pattern.js';
import type { Subject } from '../model/subjects.js';
import type { EventFilter, ReadOptions, StoreLog } from '../store/follow/event-filter.js';
import type { When } from '../store/past/audit.js';
import { type CommandContext, isForPeople } from './context.js';
import type { Reading } from './open-for.js';
import { momentsOf, NOW } from './option-values.js';
import { findImageEver } from './query.js';
import { countText, printable } from './render/text.js';
import type { Selection } from './transactions.js';

/** Hint for a pattern that nothing ever matched. */
export const PATTERN_HINT =
  '`imagelog images` lists the names there are; a pattern without a slash is for the last part of a name';

/** Options that choose events. */
export interface SelectionFlags {
  readonly image?: readonly string[] | undefined;
  /** Names and patterns. */
  readonly reference?: readonly string[] | undefined;
  readonly chain?: ChainId | undefined;
  readonly actor?: readonly string[] | undefined;
  readonly type?: readonly EventType[] | undefined;
  readonly request?: readonly string[] | undefined;
  readonly grep?: readonly string[] | undefined;
  readonly via?: readonly string[] | undefined;
  readonly consumer?: string | undefined;
  readonly since?: When | undefined;
  readonly until?: When | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly follow?: boolean | undefined;
}

/** Options that a consumer's own filter and position leave no room for. */
export const SELECTING: ReadonlySet<string> = new Set<keyof SelectionFlags>([
  'image',
  'reference',
  'chain',
  'actor',
  'type',
  'request',
  'grep',
  'via',
  'since',
  'until',
  'from',
  'to',
  'follow',
]);

interface Surroundings {
  readonly context: CommandContext;
  readonly notice: ScanNotice;
}

/**
 * @throws {StoreError} SUBJECT_NOT_FOUND if no event ever mentions a name, matches a pattern or has
 *   a request id; IMAGE_NOT_FOUND, ID_AMBIGUOUS, CONSUMER_NOT_FOUND
 */
export async function selectionOf(
  reading: Reading,
  flags: SelectionFlags,
  { context, notice }: Surroundings,
): Promise<Selection> {
  if (flags.consumer !== undefined) return owedTo(reading, flags.consumer, context);
  const { signal } = context;
  const { reference, chain, actor, type, request, grep, via, since, until, follow } = flags;
  if (follow !== true) await mustHaveBegun(reading, flags, context);
  const image = flags.image === undefined ? undefined : await imagesNamed(reading, flags.image, signal);
  const subjects: Subject[] = [
    ...(image ?? []).map((each) => ({ image: each })),
    ...(reference ?? []).map((each) => ({ reference: each })),
    ...(chain === undefined ? [] : [{ chainId: chain }]),
    ...(actor ?? []).map((each) => ({ actor: each })),
  ];
  // A follower may wait for what does not exist yet.
  if (follow !== true) for (const subject of subjects) await mustBeKnown(reading, subject);
  const first = follow === true ? 1 : await firstOfRequests(reading, request ?? [], { context, notice });
  const start = since === NOW && follow === true ? reading.seq + 1 : (seqOf(since) ?? 1);
  return {
    from: Math.max(1, flags.from ?? 1, start, first),
    to: Math.min(reading.seq, flags.to ?? reading.seq, seqOf(until) ?? reading.seq),
    filter: {
      image,
      reference,
      chainId: chain,
      actor,
      type,
      requestId: request,
      reasonIncludes: grep,
      via,
      since: since === undefined ? undefined : momentsOf(since, context)?.first,
      // `now` is the end of the log even if the clock ran ahead once, leaving events in the future.
      until: until === undefined || until === NOW ? undefined : momentsOf(until, context)?.last,
    },
  };
}

async function imagesNamed(reading: Reading, names: readonly string[], signal: AbortSignal): Promise<ImageId[]> {
  const images: ImageId[] = [];
  for (const name of names) images.push(await findImageEver(reading, name, signal));
  return images;
}

/** Returns the event of a point in time that is one. */
export function seqOf(when: When | undefined): number | undefined {
  return typeof when === 'number' ? when : undefined;
}

/**
 * Rejects a beginning beyond the end: an empty answer would look like one. What comes next may be
 * asked for, by those who ask again and again.
 */
async function mustHaveBegun(
  { store, seq: head, time, isPast }: Reading,
  { from, since }: SelectionFlags,
  context: CommandContext,
): Promise<void> {
  const seq = Math.max(from ?? 1, seqOf(since) ?? 1);
  if (seq > head + 1) {
    const message = `there is no event ${seq}: the log ${isPast ? 'ended' : 'ends'} at seq ${head}`;
    throw new StoreError('TIME_OUT_OF_RANGE', message, { data: { seq, head } });
  }
  if (since === undefined || since === NOW || typeof since === 'number') return;
  await store.pointAt(since, { timeZone: context.timeZone });
  const first = momentsOf(since, context)?.first ?? time;
  if (!isPast || first <= time) return;
  const message = `${String(since)} is after the point in time that is asked about`;
  throw new StoreError('TIME_OUT_OF_RANGE', message, { data: { when: String(since) } });
}

// Rejects unknown names: an empty answer would hide a misspelling.
async function mustBeKnown({ store }: Reading, subject: Subject): Promise<void> {
  if (!('reference' in subject) || !isPattern(subject.reference)) {
    for await (const _ of store.history(subject, { limit: 1 })) return;
    return;
  }
  const { reference } = subject;
  for await (const _ of store.log.read({ filter: { reference }, limit: 1 })) return;
  throw new StoreError('SUBJECT_NOT_FOUND', `no event is about a reference like ${reference}`, {
    data: { subject, hint: PATTERN_HINT },
  });
}

/**
 * Returns the seq of the first event with one of the request ids, where reads may begin; 1 without
 * ids.
 * @throws {StoreError} SUBJECT_NOT_FOUND for an id that no event has
 */
async function firstOfRequests(
  { store: { log } }: Reading,
  requests: readonly string[],
  { context, notice }: Surroundings,
): Promise<number> {
  const missing = new Set(requests);
  if (missing.size === 0) return 1;
  const options = { filter: { requestId: requests }, signal: context.signal };
  const first = await notice.during(log, options, async () => {
    let seq: number | undefined;
    for await (const event of log.read(options)) {
      seq ??= event.seq;
      missing.delete(event.requestId ?? '');
      if (missing.size === 0) break;
    }
    return seq;
  });
  const [unknown] = missing;
  if (unknown === undefined) return first ?? 1;
  throw new StoreError('SUBJECT_NOT_FOUND', `no event has the request id ${unknown}`, { data: { requestId: unknown } });
}

/** Selects the events after the position of a consumer that pass its filter. */
async function owedTo({ store, seq }: Reading, name: string, context: CommandContext): Promise<Selection> {
  const state = (await store.consumers()).find((each) => each.name === name);
  if (state === undefined)
    throw new StoreError('CONSUMER_NOT_FOUND', `there is no consumer ${name}`, { data: { name } });
  const { position, filter = {} } = state;
  if (isForPeople(context)) {
    const { err, errColors } = context;
    await err.line(errColors.dim(`what ${printable(name)} has not acknowledged: it is at event ${position}`));
  }
  return { from: position + 1, to: seq, filter };
}

/** After so long, reading every event is worth a line, also in a pipe. */
const LONG_MS = 1_000;
/** So many events are worth one at once on a terminal: a tenth of a second. */
const MANY_EVENTS = 10_000;

/** What no index has, by field of a filter. */
const UNINDEXED: readonly (readonly [field: keyof EventFilter, words: string])[] = [
  ['requestId', 'request ids'],
  ['reasonIncludes', 'the words of reasons'],
  ['via', 'what events came through'],
  ['type', 'types of events'],
];

type ExplainedLog = Pick<StoreLog, 'explain' | 'head'>;

type NoticeContext = Pick<CommandContext, 'out' | 'err' | 'errColors' | 'json' | 'quiet'>;

/** Says once, on standard error, that a filter makes a command read every event. */
export class ScanNotice {
  readonly #context: NoticeContext;
  readonly #longMs: number;
  #isSaid = false;

  constructor(context: NoticeContext, longMs = LONG_MS) {
    this.#context = context;
    this.#longMs = longMs;
  }

  /** Runs `act`, which reads `log` with these options. */
  async during<Result>(log: ExplainedLog, options: ReadOptions, act: () => Promise<Result>): Promise<Result> {
    const text = scanText(log, options);
    if (text === undefined) return act();
    const timer = setTimeout(() => this.#say(text.line), this.#longMs);
    try {
      if (text.events >= MANY_EVENTS && isForPeople(this.#context)) this.#say(text.line);
      return await act();
    } finally {
      clearTimeout(timer);
    }
  }

  #say(line: string): void {
    const { err, errColors } = this.#context;
    if (!this.#isSaid) err.post(errColors.dim(line));
    this.#isSaid = true;
  }
}

/** Returns the line for a read that an index would have spared; undefined for any other. */
export function scanText(
  log: ExplainedLog,
  options: ReadOptions,
): { readonly line: string; readonly events: number } | undefined {
  const { filter = {} } = options;
  const missing = UNINDEXED.filter(([field]) => filter[field] !== undefined).map(([, words]) => words);
  if (missing.length === 0) return undefined;
  const plan = log.explain(options);
  if (plan.by === 'index') return undefined;
  const { events } = plan;
  const all = events === log.head.seq && events > 1 ? 'all ' : '';
  const count = countText(events, 'event').replace(String(events), events.toLocaleString('en'));
  return { line: `reading ${all}${count}: no index has ${missing.join(' or ')}`, events };
}
