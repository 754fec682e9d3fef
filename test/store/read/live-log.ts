import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Subject } from 'rxjs';
import type { Page } from '../../../projections/projection.js';
import type { LevelLog } from '../../../src/log/leveldb/level-log.js';
import type { Log } from '../../../src/log/log.js';
import type { EventBody, StoredEvent } from '../../../src/model/events.js';
import { EventReader } from '../../../src/store/follow/log-feed.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { entriesOf } from '../../support/stored-event.js';
import { appendBodies, openTestLog } from '../../support/test-log.js';

/** What a reader asked of its log. */
export interface Reads {
  /** Readings of the log in order, by its subject index, and searches of that for references. */
  pages: number;
  subjectPages: number;
  searches: number;
  /** Events that they gave. */
  events: number;
  /** Readings that are open in the database now. */
  open: number;
}

/** A log of which every page that is appended is folded at once, and the reader of it. */
export interface LiveLog {
  readonly log: LevelLog;
  readonly reader: EventReader;
  readonly reads: Reads;
  /** Appends the bodies as one transaction, and returns its events when they are folded. */
  append(...bodies: readonly EventBody[]): Promise<StoredEvent[]>;
  /** Appends events as they are, and folds them. */
  appendEvents(events: readonly StoredEvent[]): Promise<void>;
  /** Closes it as a store does. */
  close(): Promise<void>;
}

interface ReaderOptions {
  readonly hasIndex?: boolean;
  /** References that a search need not read. */
  readonly known?: readonly string[];
}

/** Opens a new log that counts what is read; optionally without its index. */
export async function liveLog(t: ExecutionContext, options: ReaderOptions = {}): Promise<LiveLog> {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  return readerOf(log, options);
}

/** Returns a log that is open, and a new reader of it. */
export function readerOf(log: LevelLog, { hasIndex = true, known = [] }: ReaderOptions = {}): LiveLog {
  const folded$ = new Subject<Page>();
  const reads: Reads = { pages: 0, subjectPages: 0, searches: 0, events: 0, open: 0 };
  const reader = new EventReader({ log: countingLog(log, reads, hasIndex), references: () => known }, folded$);
  return {
    log,
    reader,
    reads,
    async append(...bodies) {
      const events = await appendBodies(log, bodies);
      folded$.next(events);
      return events;
    },
    async appendEvents(events) {
      await log.append({ expectedHead: log.head.seq, entries: entriesOf(events), content: new Map() });
      folded$.next(events);
    },
    async close() {
      await log.close();
      folded$.complete();
    },
  };
}

function countingLog(log: LevelLog, reads: Reads, hasSubjectIndex: boolean): Log {
  const counted = async function* (pages: AsyncIterable<Page>): AsyncGenerator<Page> {
    reads.open++;
    try {
      for await (const page of pages) {
        reads.events += page.length;
        yield page;
      }
    } finally {
      reads.open--;
    }
  };
  const members: Partial<Log> = {
    hasSubjectIndex,
    event: (seq) => log.event(seq),
    pages(options) {
      reads.pages++;
      return counted(log.pages(options));
    },
    subjectPages(subjects, options) {
      reads.subjectPages++;
      return counted(log.subjectPages(subjects, options));
    },
    referenceSeqs(wanted, options) {
      reads.searches++;
      return log.referenceSeqs(wanted, options);
    },
    eventsOf(seqs, options) {
      reads.events += seqs.length;
      return log.eventsOf(seqs, options);
    },
  };
  return new Proxy<Log>(log, {
    get: (_, name) => (name in members ? members[name as keyof Log] : log[name as keyof Log]),
  });
}
