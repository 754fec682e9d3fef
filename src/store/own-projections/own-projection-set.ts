import type { Observable } from 'rxjs';
import type { Page } from '../../../projections/live-view.js';
import { throwIfAborted } from '../../abort.js';
import { StoreError } from '../../errors.js';
import type { Log, LogPoint } from '../../log/log.js';
import { mustBeObject, mustBeSignal } from '../argument-types.js';
import { defineProjection } from './define-projection.js';
import { FollowedProjection } from './followed-projection.js';
import type { KeptStates } from './kept-states.js';
import type { LiveProjection, OwnProjection, OwnProjections, ProjectOptions } from './own-projection.js';
import { ProjectionFold } from './projection-fold.js';

/** A projection this close to the head begins to hold the pages that come: about what one read of the log gives. */
const JOIN_EVENTS = 1_000;

/** What projections fold. */
export interface OwnProjectionSetParts {
  readonly log: Log;
  /** The last event that every view of the store has folded. */
  readonly head: () => LogPoint;
  /** The pages after that, as the views have folded them. */
  readonly folded$: Observable<Page>;
  readonly states: KeptStates;
  /** @throws {StoreError} STORE_CLOSED */
  readonly checkOpen: () => void;
}

/** The caller's projections of one store: who has which name, and how each catches up. */
export class OwnProjectionSet implements OwnProjections {
  readonly #parts: OwnProjectionSetParts;
  /** What keeps the state of each projection, by name; a name is taken from the call that asks for it on. */
  readonly #keepers = new Map<string, () => void>();

  constructor(parts: OwnProjectionSetParts) {
    this.#parts = parts;
  }

  async project<View>(projection: OwnProjection<View>, options: ProjectOptions = {}): Promise<LiveProjection<View>> {
    const defined = defineProjection(projection);
    mustBeObject('options', options);
    mustBeSignal('signal', options.signal);
    this.#parts.checkOpen();
    throwIfAborted(options.signal);
    const { name } = defined;
    if (this.#keepers.has(name)) throw taken(name);
    this.#keepers.set(name, () => undefined);
    try {
      return await this.#begin(defined, options.signal);
    } catch (error) {
      this.#keepers.delete(name);
      throw error;
    }
  }

  /** Has the states of all projections written as they are now, and resolves when they are. */
  async keepStates(): Promise<void> {
    for (const keep of this.#keepers.values()) keep();
    await this.#parts.states.settled();
  }

  /** Has all states written for the last time. */
  async end(): Promise<void> {
    await this.keepStates();
    await this.#parts.states.end();
  }

  async #begin<View>(
    projection: OwnProjection<View>,
    signal: AbortSignal | undefined,
  ): Promise<FollowedProjection<View>> {
    const { states, folded$, checkOpen } = this.#parts;
    const fold = new ProjectionFold(projection, await states.startOf(projection));
    const keep = (): void => states.keep(projection, fold);
    this.#keepers.set(projection.name, keep);
    await this.#approach(fold, signal);
    const held: Page[] = [];
    const holding = folded$.subscribe((page) => held.push(page));
    try {
      await this.#foldLog(fold, signal);
      // Nothing waits from here on until the projection follows by itself: no page can come in between.
      for (const page of held) fold.take(page);
      checkOpen();
      return new FollowedProjection(projection, fold, folded$, () => {
        keep();
        this.#keepers.delete(projection.name);
      });
    } finally {
      holding.unsubscribe();
    }
  }

  // Reading is faster than writing, so this comes near the head. To meet it between two writes might take for ever.
  async #approach<View>(fold: ProjectionFold<View>, signal: AbortSignal | undefined): Promise<void> {
    while (this.#parts.head().seq - fold.seq > JOIN_EVENTS) await this.#foldLog(fold, signal);
  }

  /** Folds what the log holds up to the head of this moment. */
  async #foldLog<View>(fold: ProjectionFold<View>, signal: AbortSignal | undefined): Promise<void> {
    const { log, head } = this.#parts;
    for await (const page of log.pages({ from: fold.seq + 1, to: head().seq, signal })) {
      fold.take(page);
      if (fold.error !== undefined) throw fold.error;
    }
  }
}

function taken(name: string): StoreError {
  return new StoreError('PROJECTION_TAKEN', `a projection named ${name} is live, expected it to be closed first`, {
    data: { name },
  });
}
