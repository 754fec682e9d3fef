import type { PageOptions } from './log.js';
import type { LogSource, PageRange } from './log-source.js';
import type { OpenReads } from './open-reads.js';

/** A log whose database may be taken away under its readers. */
export interface ResumableLog {
  readonly reads: OpenReads;
  readonly headSeq: () => number;
  readonly source: () => LogSource;
  readonly isClosed: () => boolean;
  /** Whether a recovery put another database in the place of this one. */
  readonly wasReplaced: (source: LogSource) => Promise<boolean>;
}

/** What is read of a log, in pages. */
export interface ResumableRead<Item> {
  /** Called each time that the read begins, or goes on. */
  readonly read: (source: LogSource, range: PageRange) => AsyncIterable<readonly Item[]>;
  readonly seqOf: (item: Item) => number;
}

/**
 * Gives the pages that `read` gives of the range, default the whole log, and goes on when a recovery takes the database away under it, or
 * it is interrupted.
 */
export async function* resumedPages<Item>(
  log: ResumableLog,
  { from = 1, to = log.headSeq(), ...rest }: PageOptions,
  { read, seqOf }: ResumableRead<Item>,
): AsyncGenerator<readonly Item[]> {
  let first = Math.max(1, from);
  let last = Math.max(0, to);
  while (first <= last) {
    const events = log.reads.beginEvents();
    const source = { ...log.source(), opened: events.opened };
    try {
      for await (const page of read(source, { ...rest, first, last })) {
        const lastItem = page.at(-1);
        const end = lastItem === undefined ? undefined : seqOf(lastItem);
        if (end !== undefined && rest.reverse === true) last = end - 1;
        else if (end !== undefined) first = end + 1;
        yield page;
      }
      return;
    } catch (error) {
      const goesOn = (await log.wasReplaced(source)) || (events.wasInterrupted && !log.isClosed());
      if (!goesOn) throw error;
    } finally {
      log.reads.endEvents(events);
    }
  }
}
