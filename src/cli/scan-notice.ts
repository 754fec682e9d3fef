import type { EventFilter, ReadOptions, StoreLog } from '../store/follow/event-filter.js';
import { type CommandContext, isForPeople } from './context.js';
import { countText } from '../model/texts.js';

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
