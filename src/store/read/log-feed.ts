import type { Observable } from 'rxjs';
import type { Page } from '../../../projections/live-view.js';
import { MAX_PAGE_EVENTS } from '../../limits.js';
import { StoreError } from '../../errors.js';
import type { Head, Log } from '../../log/log.js';
import { ParkedFollowers } from './parked-followers.js';
import type { Stretch } from './stretch.js';

/** What was folded last, and who waits for more. */
export class LogFeed {
  readonly parked = new ParkedFollowers();
  readonly #log: Pick<Log, 'head'>;
  #head: Head;
  #newest: Page = [];
  readonly #whenClosed = new Set<() => void>();
  #isClosed = false;

  /** Begins at the head of `log`; `folded$` gives the pages after that, and ends when the store is closed. */
  constructor(log: Pick<Log, 'head'>, folded$: Observable<Page>) {
    this.#log = log;
    this.#head = log.head;
    folded$.subscribe({ next: (page) => this.#take(page), complete: () => this.#end() });
  }

  /** The last event that every view has folded: whoever reads up to here finds it in the views. */
  get head(): Head {
    return this.#head;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Calls `listener` when no more pages will come, or at once when that is so; returns what has it forgotten. */
  whenClosed(listener: () => void): () => void {
    if (this.#isClosed) listener();
    else this.#whenClosed.add(listener);
    return () => this.#whenClosed.delete(listener);
  }

  /** The events after seq `position`, if they are still in memory; at the most one page. */
  newestAfter(position: number): Stretch | undefined {
    const first = this.#newest[0]?.seq;
    return first === undefined || first > position + 1 ? undefined : pageAfter(this.#newest, position);
  }

  #take(page: Page): void {
    const last = page.at(-1);
    if (last === undefined) return;
    // One writer appends and folds in turn: no event comes between the two.
    const { head } = this.#log;
    if (head.seq !== last.seq)
      throw new StoreError('INTERNAL', `event ${last.seq} is folded, the log is at ${head.seq}`);
    this.#head = head;
    // A load may have brought a hundred thousand events at once, which nobody needs here for long.
    this.#newest = page.slice(-MAX_PAGE_EVENTS);
    this.parked.wake(page);
  }

  #end(): void {
    this.#isClosed = true;
    this.parked.end();
    for (const listener of this.#whenClosed) listener();
  }
}

/** Returns the events of `page` after seq `position`, at the most MAX_PAGE_EVENTS; undefined when there are none. */
export function pageAfter(page: Page, position: number): Stretch | undefined {
  const start = Math.max(0, position + 1 - (page[0]?.seq ?? 0));
  const events = page.slice(start, start + MAX_PAGE_EVENTS);
  const last = events.at(-1);
  return last === undefined ? undefined : { events, end: last.seq };
}
