import { givenEvent } from './follow/event-iterator.js';
import type { OptionNames } from '../model/option-names.js';
import { BehaviorSubject, type Observable, type Subscription } from 'rxjs';
import type { StoredEvent } from '../model/events.js';
import { StoreError, throwIfAborted, thrownText } from '../errors.js';
import { MAX_PROJECTION_NAME_LENGTH } from '../limits.js';
import { mustBeFunction, mustBeObject, mustBeOptions, mustBeSignal, mustBeString } from './argument-types.js';
import type { Page } from '../../projections/projection.js';
import type { ProjectionState } from './snapshots/snapshot-folder.js';
import type { StoreContext } from './context.js';

/** A caller's read model; checked by `defineProjection`. */
export interface OwnProjection<View> {
  /** 1 to 64 letters, digits, dots, dashes and underscores, starting with a letter or digit. */
  readonly name: string;
  /** A whole number from 1 up. Raise it whenever `evolve` or the format of `encode` changes. */
  readonly version: number;
  /** Returns the view of an empty log. */
  readonly initial: () => View;
  /**
   * Returns `view` with `event` folded in; may change `view` in place. Must be deterministic. The
   * event is frozen; the bytes of a metadata value are yours.
   */
  readonly evolve: (view: View, event: StoredEvent) => View;
  /**
   * Encodes a view for a snapshot; the store owns the bytes. With `decode`, the next start replays
   * only newer events. A throw becomes a notice, and the previous snapshot stays.
   */
  readonly encode?: ((view: View) => Uint8Array) | undefined;
  /**
   * Decodes what `encode` wrote. A throw becomes a notice; the view is then folded from event 1.
   */
  readonly decode?: ((bytes: Uint8Array) => View) | undefined;
}

/** The event at which a projection failed, and what `evolve` threw. */
interface ProjectionFailure {
  readonly event: StoredEvent;
  readonly error: unknown;
}

/** A caller's view that follows the log. */
export interface LiveProjection<View> extends Disposable {
  readonly name: string;
  readonly version: number;
  /** The last event folded; stops moving once the projection fails or ends. */
  readonly seq: number;
  /**
   * The current view: the object `evolve` returned, not a copy.
   * @throws {StoreError} PROJECTION_FAILED when `evolve` threw; `data.seq` is the event, `cause`
   *   the error
   */
  readonly current: View;
  /**
   * The current view, then the view after each group of events. Fails with PROJECTION_FAILED;
   * completes when the projection or the store closes. An error in a subscriber affects no other:
   * RxJS reports it as an uncaught exception.
   */
  readonly view$: Observable<View>;
  /** Set once `evolve` threw; no more events are folded. */
  readonly failure: ProjectionFailure | undefined;
  /** Ends the projection, writes its state if it has `encode`, and frees its name. */
  close(): void;
}

/** Options of `project`. */
export interface ProjectOptions {
  /** Aborts the catch-up; no effect afterwards. */
  readonly signal?: AbortSignal | undefined;
}

const projectOptionNames: OptionNames<ProjectOptions> = { signal: true };

/** The caller's projections. */
export interface OwnProjections {
  /**
   * Folds the log into a caller's view and keeps it current: each event after the store's own views
   * have it and before its write resolves. Resolves once it has caught up. Needs memory for the
   * view and one page of events.
   * @throws {StoreError} PROJECTION_TAKEN while one of this name is live, or failed and not closed;
   *   PROJECTION_OUTDATED when a snapshot has a higher version; PROJECTION_FAILED when `evolve` or
   *   `initial` (`data.seq` 0) throws; PROJECTION_INVALID; ABORTED
   */
  project<View>(projection: OwnProjection<View>, options?: ProjectOptions): Promise<LiveProjection<View>>;
}

// Part of a file name.
const PROJECTION_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Checks and freezes a projection for `store.project`; infers the view's type from `initial`.
 * @throws {StoreError} PROJECTION_INVALID for an invalid name or version
 * @throws {TypeError} when a member has a wrong type, or only one of `encode` and `decode` is given
 */
export function defineProjection<View>(projection: OwnProjection<View>): OwnProjection<View> {
  mustBeObject('projection', projection);
  const { name, version, initial, evolve, encode, decode } = projection;
  checkName(name);
  checkVersion(name, version);
  mustBeFunction('initial', initial);
  mustBeFunction('evolve', evolve);
  if (encode === undefined && decode === undefined) return Object.freeze({ name, version, initial, evolve });
  if (encode === undefined || decode === undefined) throw new TypeError('encode and decode must come together');
  mustBeFunction('encode', encode);
  mustBeFunction('decode', decode);
  return Object.freeze({ name, version, initial, evolve, encode, decode });
}

function checkName(name: string): void {
  mustBeString('name', name);
  if (PROJECTION_NAME.test(name) && name.length <= MAX_PROJECTION_NAME_LENGTH) return;
  const shown = name.slice(0, 100);
  throw new StoreError(
    'PROJECTION_INVALID',
    `the projection name ${JSON.stringify(shown)} is not allowed: expected a letter or digit, then letters, digits, ` +
      `dots, dashes or underscores, at most ${MAX_PROJECTION_NAME_LENGTH} in all`,
    { data: { name: shown } },
  );
}

function checkVersion(name: string, version: number): void {
  if (typeof version !== 'number') throw new TypeError('version must be a number');
  if (Number.isSafeInteger(version) && version >= 1) return;
  throw new StoreError(
    'PROJECTION_INVALID',
    `the version of the projection ${name} is ${version}, expected a whole number from 1 up`,
    { data: { name, version } },
  );
}

/** A view and the last event folded into it. */
interface ViewAt<View> {
  readonly view: View;
  readonly seq: number;
}

/**
 * The fold of a caller's projection, for replayed and live events alike. Stops when `evolve`
 * throws, but throws nothing itself, so that its feed continues.
 */
class ProjectionFold<View> {
  readonly #projection: OwnProjection<View>;
  #view: View;
  #seq: number;
  #failure: ProjectionFailure | undefined;
  #error: StoreError | undefined;

  constructor(projection: OwnProjection<View>, start: ViewAt<View>) {
    this.#projection = projection;
    this.#view = start.view;
    this.#seq = start.seq;
  }

  get seq(): number {
    return this.#seq;
  }

  /** @throws {StoreError} PROJECTION_FAILED once `evolve` threw: the view may be half changed */
  get view(): View {
    if (this.#error !== undefined) throw this.#error;
    return this.#view;
  }

  get failure(): ProjectionFailure | undefined {
    return this.#failure;
  }

  /** The error `view` throws, if any. */
  get error(): StoreError | undefined {
    return this.#error;
  }

  /** Folds the events of `page` not folded yet; stops at one that fails. */
  take(page: Page): void {
    for (const event of page) {
      if (this.#failure !== undefined) return;
      if (event.seq > this.#seq) this.#evolve(event);
    }
  }

  #evolve(event: StoredEvent): void {
    try {
      if (event.seq !== this.#seq + 1) throw gapAfter(this.#seq, event);
      const view = this.#projection.evolve(this.#view, givenEvent(event));
      if (view instanceof Promise) throw promised(view);
      this.#view = view;
      this.#seq = event.seq;
    } catch (error) {
      this.#failure = { event, error };
      this.#error = projectionFailed(this.#projection, event.seq, error);
    }
  }
}

/** Returns the error for a projection that threw at event `seq`; 0 is before the first. */
function projectionFailed(
  { name, version }: { readonly name: string; readonly version: number },
  seq: number,
  cause: unknown,
): StoreError {
  const where = seq === 0 ? 'before the first event' : `at event ${seq}`;
  const why = thrownText(cause);
  return new StoreError('PROJECTION_FAILED', `the projection ${name} failed ${where}: ${why}`, {
    cause,
    data: { name, version, seq },
  });
}

function gapAfter(seq: number, event: StoredEvent): StoreError {
  return new StoreError('INTERNAL', `event ${event.seq} came after event ${seq}`);
}

function promised(view: Promise<unknown>): TypeError {
  // Ignored; without this a rejection would end the process.
  view.catch(() => undefined);
  return new TypeError('evolve must return the view itself, not a promise of it');
}

/**
 * Starts projections from their saved states, and writes states one at a time. Failures become
 * notices and do not affect a projection.
 */
class KeptStates {
  readonly #context: StoreContext;
  /** Seq of the saved state of each name. */
  readonly #keptSeqs = new Map<string, number>();
  #writing: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /**
   * Returns the view a projection resumes from: its decoded state, or else the initial view.
   * @throws {StoreError} PROJECTION_OUTDATED when the state has a higher version; PROJECTION_FAILED
   *   when `initial` throws
   */
  async startOf<View>(projection: OwnProjection<View>): Promise<ViewAt<View>> {
    const { name, version } = projection;
    // The previous projection of this name may still be writing its state.
    await this.#writing;
    const state = await this.#context.snapshots.readProjectionState(name);
    if (state !== undefined && state.version > version) throw outdated(name, version, state);
    const kept = state?.version === version ? this.#decode(projection, state) : undefined;
    this.#keptSeqs.set(name, kept?.seq ?? 0);
    return kept ?? { view: initialView(projection), seq: 0 };
  }

  /** Queues a write of the projection's state if it has `encode` and something new. */
  keep<View>(projection: OwnProjection<View>, fold: ProjectionFold<View>): void {
    const { name, version, encode } = projection;
    const { seq } = fold;
    const isNew = fold.failure === undefined && seq > (this.#keptSeqs.get(name) ?? 0);
    if (encode === undefined || !isNew || this.#context.readOnly || this.#isEnded) return;
    let bytes: Uint8Array;
    try {
      bytes = bytesOf(encode(fold.view));
    } catch (error) {
      this.#say(`the state of the projection ${name} at event ${seq} was not written`, error);
      return;
    }
    this.#keptSeqs.set(name, seq);
    this.#writing = this.#writing.then(() => this.#write(name, { version, seq, bytes }));
  }

  /** Resolves when no write is pending. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Finishes pending writes and accepts no more. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#writing;
  }

  async #write(name: string, { version, seq, bytes }: ProjectionState): Promise<void> {
    try {
      await this.#context.snapshots.writeProjectionState(name, version, seq, bytes);
    } catch (error) {
      this.#say(`the state of the projection ${name} at event ${seq} was not written`, error);
    }
  }

  #decode<View>({ name, decode }: OwnProjection<View>, { seq, bytes }: ProjectionState): ViewAt<View> | undefined {
    if (decode === undefined) return undefined;
    try {
      return { view: decode(bytes), seq };
    } catch (error) {
      this.#say(`the state of the projection ${name} at event ${seq} is skipped`, error);
      return undefined;
    }
  }

  #say(what: string, error: unknown): void {
    this.#context.onNotice(`${what}: ${thrownText(error)}`);
  }
}

function initialView<View>(projection: OwnProjection<View>): View {
  try {
    return projection.initial();
  } catch (cause) {
    throw projectionFailed(projection, 0, cause);
  }
}

function bytesOf(value: Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError('encode must return a Uint8Array');
}

function outdated(name: string, version: number, state: ProjectionState): StoreError {
  return new StoreError(
    'PROJECTION_OUTDATED',
    `the projection ${name} has version ${version}, expected at least ${state.version}: its state was written by that`,
    { data: { name, version, found: state.version } },
  );
}

/** A caught-up projection that folds each new page. */
class FollowedProjection<View> implements LiveProjection<View> {
  readonly name: string;
  readonly version: number;
  readonly view$: Observable<View>;
  readonly #fold: ProjectionFold<View>;
  readonly #views: BehaviorSubject<View>;
  readonly #subscription: Subscription;
  #onClose: (() => void) | undefined;

  /**
   * Follows `pages$`, which must continue where `fold` stopped. Calls `onClose` once, when the
   * caller closes it.
   * @throws {StoreError} PROJECTION_FAILED when `fold` has failed
   */
  constructor(
    { name, version }: OwnProjection<View>,
    fold: ProjectionFold<View>,
    pages$: Observable<Page>,
    onClose: () => void,
  ) {
    this.name = name;
    this.version = version;
    this.#fold = fold;
    this.#onClose = onClose;
    this.#views = new BehaviorSubject(fold.view);
    this.view$ = this.#views.asObservable();
    this.#subscription = pages$.subscribe({
      next: (page) => this.#take(page),
      complete: () => this.#views.complete(),
    });
  }

  get seq(): number {
    return this.#fold.seq;
  }

  get current(): View {
    return this.#fold.view;
  }

  get failure(): ProjectionFailure | undefined {
    return this.#fold.failure;
  }

  close(): void {
    this.#subscription.unsubscribe();
    this.#views.complete();
    this.#onClose?.();
    this.#onClose = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(page: Page): void {
    this.#fold.take(page);
    const { error } = this.#fold;
    if (error === undefined) {
      this.#views.next(this.#fold.view);
      return;
    }
    this.#subscription.unsubscribe();
    this.#views.error(error);
  }
}

/** Distance to the head at which to start buffering new pages: about one read of the log. */
const JOIN_EVENTS = 1_000;

/** The caller's projections of a store: owns their names and their catch-up. */
export class OwnProjectionSet implements OwnProjections {
  readonly #context: StoreContext;
  readonly #states: KeptStates;
  /** Writes each projection's state, by name. A name is taken from the call of `project` on. */
  readonly #keepers = new Map<string, () => void>();

  constructor(context: StoreContext) {
    this.#context = context;
    this.#states = new KeptStates(context);
    context.snapshotter.alsoWrite(() => this.keepStates());
  }

  async project<View>(projection: OwnProjection<View>, options: ProjectOptions = {}): Promise<LiveProjection<View>> {
    const defined = defineProjection(projection);
    mustBeOptions(options, projectOptionNames);
    mustBeSignal('signal', options.signal);
    this.#context.checkOpen();
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

  /** Writes the states of all projections; resolves when done. */
  async keepStates(): Promise<void> {
    for (const keep of this.#keepers.values()) keep();
    await this.#states.settled();
  }

  /** Writes all states one last time. */
  async end(): Promise<void> {
    await this.keepStates();
    await this.#states.end();
  }

  async #begin<View>(
    projection: OwnProjection<View>,
    signal: AbortSignal | undefined,
  ): Promise<FollowedProjection<View>> {
    const { folded$ } = this.#context.viewSet;
    const fold = new ProjectionFold(projection, await this.#states.startOf(projection));
    const keep = (): void => this.#states.keep(projection, fold);
    this.#keepers.set(projection.name, keep);
    // Replay outpaces writes, so this gets near the head; meeting it exactly may never happen.
    while (this.#context.reader.head.seq - fold.seq > JOIN_EVENTS) await this.#foldLog(fold, signal);
    const held: Page[] = [];
    const holding = folded$.subscribe((page) => held.push(page));
    try {
      await this.#foldLog(fold, signal);
      // No await from here until the projection is subscribed, so no page can slip in between.
      for (const page of held) fold.take(page);
      this.#context.checkOpen();
      return new FollowedProjection(projection, fold, folded$, () => {
        keep();
        this.#keepers.delete(projection.name);
      });
    } finally {
      holding.unsubscribe();
    }
  }

  /** Folds the log up to its current head. */
  async #foldLog<View>(fold: ProjectionFold<View>, signal: AbortSignal | undefined): Promise<void> {
    const { log, reader } = this.#context;
    for await (const page of log.pages({ from: fold.seq + 1, to: reader.head.seq, signal })) {
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
