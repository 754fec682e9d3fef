import { createViews } from '../../../projections/views.js';
import type { Views } from '../../../projections/store-projections.js';
import type { StoredEvent } from '../../model/events.js';
import { contradictionOf } from './contradiction.js';
import { differingViews, type ViewDigests, viewDigestsOf } from './view-digests.js';
import type { Report, ViolationCode } from './violation.js';

/** Views that somebody folded from the events up to `seq`. */
export interface ViewClaim {
  readonly seq: number;
  readonly place: string;
  readonly code: ViolationCode & ('SNAPSHOT_WRONG' | 'VIEW_WRONG');
  readonly digests: () => Promise<ViewDigests>;
}

/**
 * The events folded anew, each looked at against the views before it, and the views compared with those that others folded. An event
 * that cannot be believed ends both; what the other events need is still gathered.
 */
export class FoldCheck {
  readonly #report: Report;
  readonly #claims: readonly ViewClaim[];
  readonly #claimed: ReadonlySet<number>;
  readonly #viewSet = createViews();
  #lostAt: number | undefined;

  constructor(claims: readonly ViewClaim[], report: Report) {
    this.#claims = claims;
    this.#claimed = new Set(claims.map(({ seq }) => seq));
    this.#report = report;
  }

  /** The views of all events that could be believed. */
  get views(): Views {
    return this.#viewSet.views;
  }

  /** The first event that could not be believed, if there is one: the views lack at least that. */
  get lostAt(): number | undefined {
    return this.#lostAt;
  }

  /** Folds the next event. */
  add(event: StoredEvent, place: string): void {
    const fault = this.#lostAt === undefined ? contradictionOf(this.views, event) : undefined;
    if (fault !== undefined) {
      const { seq } = event;
      this.#report({ code: 'EVENT_CONTRADICTS', place, message: `event ${seq} ${fault}`, seq });
    }
    this.#viewSet.fold([event]);
  }

  /** Notes that the event at `seq` cannot be folded. */
  lose(seq: number): void {
    this.#lostAt ??= seq;
  }

  /** Whether somebody has views of the events up to `seq`. */
  isClaimed(seq: number): boolean {
    return this.#claimed.has(seq);
  }

  /** Compares the views of the events up to `seq`, the last that was folded, with those that others have. */
  async compare(seq: number): Promise<void> {
    if (this.#lostAt !== undefined || !this.isClaimed(seq)) return;
    const fresh = await viewDigestsOf(this.views)();
    for (const { place, code, digests } of this.#claims.filter((claim) => claim.seq === seq)) {
      const names = differingViews(await digests(), fresh);
      if (names.length === 0) continue;
      const message = `${place}: what it says of ${names.join(', ')} is not what the events up to ${seq} give`;
      this.#report({ code, place, message, seq });
    }
  }

  /** Says what could not be looked at. */
  finish(): void {
    if (this.#lostAt === undefined) return;
    const claims = this.#claims.filter(({ seq }) => seq >= (this.#lostAt ?? 0)).map(({ place }) => place);
    const beside = claims.length === 0 ? '' : `, nor ${claims.join(', ')}`;
    const message =
      `event ${this.#lostAt} cannot be believed: whether later events follow from it, and whether content or blobs are ` +
      `superfluous, was not looked at${beside}`;
    this.#report({ code: 'NOT_CHECKED', place: 'views', message, seq: this.#lostAt });
  }
}
