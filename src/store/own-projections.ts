import { BehaviorSubject, type Observable, type Subscription } from 'rxjs';
import type { StoredEvent } from '../model/events.js';
import { StoreError, throwIfAborted } from '../errors.js';
import { MAX_PROJECTION_NAME_LENGTH } from '../limits.js';
import { mustBeFunction, mustBeObject, mustBeSignal, mustBeString } from './argument-types.js';
import type { Page } from '../../projections/views.js';
import type { ProjectionState } from './snapshots/snapshot-folder.js';
import type { StoreContext } from './context.js';

/** A read model of the caller's: what `defineProjection` takes and gives. */
export interface OwnProjection<View> {
  /** 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit. */
  readonly name: string;
  /** A whole number from 1 up, raised whenever the same events fold to another view or `encode` writes another form. */
  readonly version: number;
  /** Returns the view of an empty log. */
  readonly initial: () => View;
  /**
   * Returns `view` with `event` folded in; it may change `view` in place and return it. Nothing but the two decides what it
   * returns: a replay folds to the same view. Others read the same event: it changes nothing of it, nor the bytes in it.
   */
  readonly evolve: (view: View, event: StoredEvent) => View;
  /**
   * Writes a view for a snapshot; the bytes are the store's from then on. With `decode`, a projection that begins again
   * folds only what came since. What it throws becomes a notice, and the snapshot before stays.
   */
  readonly encode?: ((view: View) => Uint8Array) | undefined;
  /** Reads what `encode` wrote. What it throws becomes a notice, and the view is folded from the first event. */
  readonly decode?: ((bytes: Uint8Array) => View) | undefined;
}

/** The event at which a projection failed, and what its `evolve` threw there. */
export interface ProjectionFailure {
  readonly event: StoredEvent;
  readonly error: unknown;
}

/** A view of the caller's that follows the log. */
export interface LiveProjection<View> extends Disposable {
  readonly name: string;
  readonly version: number;
  /** The last event that it has folded; it stays there once the projection failed or ended. */
  readonly seq: number;
  /**
   * The view of this moment, the one that `evolve` returned and not a copy.
   * @throws {StoreError} PROJECTION_FAILED when `evolve` threw: `data.seq` says at which event, `cause` what
   */
  readonly current: View;
  /**
   * The current view, then the view after each group of events. It fails with PROJECTION_FAILED, and ends with the projection
   * and with the store. What a subscriber throws hurts no other: RxJS reports it as an uncaught exception.
   */
  readonly view$: Observable<View>;
  /** Set once `evolve` threw: the projection folds nothing more. */
  readonly failure: ProjectionFailure | undefined;
  /** Ends it, and has its state written where it has `encode`; the name may be used again. */
  close(): void;
}

/** How a projection is begun. */
export interface ProjectOptions {
  /** Gives up while it catches up; afterwards it has no effect. */
  readonly signal?: AbortSignal | undefined;
}

/** Projections of the caller's. */
export interface OwnProjections {
  /**
   * Folds the log into a view of the caller's, and keeps it up to date: each event after the store's own views have it, and
   * before the write that made it resolves. Resolves when it has every event of this moment; its memory is that of the
   * view and of a page of events.
   * @throws {StoreError} PROJECTION_TAKEN while one of this name is live, or failed and not closed; PROJECTION_OUTDATED when a snapshot of a higher version
   *   is there; PROJECTION_FAILED when `evolve` throws, or `initial`, then with `data.seq` 0; PROJECTION_INVALID; ABORTED
   */
  project<View>(projection: OwnProjection<View>, options?: ProjectOptions): Promise<LiveProjection<View>>;
}

// The name is part of a file name.
const PROJECTION_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Returns the projection, checked, typed by what `initial` returns, and frozen: what `store.project` takes.
 * @throws {StoreError} PROJECTION_INVALID for a name or version that is not allowed
 * @throws {TypeError} when a member is of the wrong type, or `encode` and `decode` do not come together
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

/** A view and the last event that is folded into it. */
interface ViewAt<View> {
  readonly view: View;
  readonly seq: number;
}

/**
 * The fold of a caller's projection, one for what the log holds and for what comes. It ends where `evolve` throws; it
 * throws nothing itself, so that its feeder goes on.
 */
class ProjectionFold<View> {
  readonly #projection: OwnProjection<View>;
  #view: View;
  #seq: number;
  #failure: ProjectionFailure | undefined;
  #error: StoreError | undefined;

  /** Goes on from `start`. */
  constructor(projection: OwnProjection<View>, start: ViewAt<View>) {
    this.#projection = projection;
    this.#view = start.view;
    this.#seq = start.seq;
  }

  /** The last event that was folded. */
  get seq(): number {
    return this.#seq;
  }

  /** @throws {StoreError} PROJECTION_FAILED once `evolve` threw: an unfinished change may be in the view */
  get view(): View {
    if (this.#error !== undefined) throw this.#error;
    return this.#view;
  }

  get failure(): ProjectionFailure | undefined {
    return this.#failure;
  }

  /** What `view` throws, once it does. */
  get error(): StoreError | undefined {
    return this.#error;
  }

  /** Folds the events of `page` that it has not folded yet, up to the one at which it fails. */
  take(page: Page): void {
    for (const event of page) {
      if (this.#failure !== undefined) return;
      if (event.seq > this.#seq) this.#evolve(event);
    }
  }

  #evolve(event: StoredEvent): void {
    try {
      if (event.seq !== this.#seq + 1) throw gapAfter(this.#seq, event);
      const view = this.#projection.evolve(this.#view, event);
      if (view instanceof Promise) throw promised(view);
      this.#view = view;
      this.#seq = event.seq;
    } catch (error) {
      this.#failure = { event, error };
      this.#error = projectionFailed(this.#projection, event.seq, error);
    }
  }
}

/** Returns the error of a projection whose code threw at an event; seq 0 is before the first. */
function projectionFailed(
  { name, version }: { readonly name: string; readonly version: number },
  seq: number,
  cause: unknown,
): StoreError {
  const where = seq === 0 ? 'before the first event' : `at event ${seq}`;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError('PROJECTION_FAILED', `the projection ${name} failed ${where}: ${why}`, {
    cause,
    data: { name, version, seq },
  });
}

function gapAfter(seq: number, event: StoredEvent): StoreError {
  return new StoreError('INTERNAL', `event ${event.seq} came after event ${seq}`);
}

function promised(view: Promise<unknown>): TypeError {
  // What becomes of it no longer matters, and must not end the process.
  view.catch(() => undefined);
  return new TypeError('evolve must return the view itself, not a promise of it');
}

/** Begins projections where their states are, and writes states one after another. Nothing here hurts a projection. */
class KeptStates {
  readonly #context: StoreContext;
  /** Up to which event the state that is kept of each name goes. */
  readonly #keptSeqs = new Map<string, number>();
  #writing: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /**
   * Returns the view that a projection goes on from: what its state decodes to, or else the view of an empty log.
   * @throws {StoreError} PROJECTION_OUTDATED when the state is of a higher version; PROJECTION_FAILED when `initial` throws
   */
  async startOf<View>(projection: OwnProjection<View>): Promise<ViewAt<View>> {
    const { name, version } = projection;
    // The one that had the name before may still be having its state written.
    await this.#writing;
    const state = await this.#context.snapshots.readProjectionState(name);
    if (state !== undefined && state.version > version) throw outdated(name, version, state);
    const kept = state?.version === version ? this.#decode(projection, state) : undefined;
    this.#keptSeqs.set(name, kept?.seq ?? 0);
    return kept ?? { view: initialView(projection), seq: 0 };
  }

  /** Has the state of a projection written as it is now, when it offers `encode` and there is something new. */
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

  /** Resolves when no state waits to be written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Writes what waits, and nothing after that. */
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
      this.#say(`the state of the projection ${name} at event ${seq} is passed over`, error);
      return undefined;
    }
  }

  #say(what: string, error: unknown): void {
    this.#context.onNotice(`${what}: ${error instanceof Error ? error.message : String(error)}`);
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

/** A caller's view that has caught up, and folds each page that comes. */
class FollowedProjection<View> implements LiveProjection<View> {
  readonly name: string;
  readonly version: number;
  readonly view$: Observable<View>;
  readonly #fold: ProjectionFold<View>;
  readonly #views: BehaviorSubject<View>;
  readonly #subscription: Subscription;
  #onClose: (() => void) | undefined;

  /**
   * Follows `pages$`, which goes on where `fold` stands; `onClose` is called once, when the caller ends it.
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

/** A projection this close to the head begins to hold the pages that come: about what one read of the log gives. */
const JOIN_EVENTS = 1_000;

/** The caller's projections of one store: who has which name, and how each catches up. */
export class OwnProjectionSet implements OwnProjections {
  readonly #context: StoreContext;
  readonly #states: KeptStates;
  /** What keeps the state of each projection, by name; a name is taken from the call that asks for it on. */
  readonly #keepers = new Map<string, () => void>();

  constructor(context: StoreContext) {
    this.#context = context;
    this.#states = new KeptStates(context);
    context.snapshotter.alsoWrite(() => this.keepStates());
  }

  async project<View>(projection: OwnProjection<View>, options: ProjectOptions = {}): Promise<LiveProjection<View>> {
    const defined = defineProjection(projection);
    mustBeObject('options', options);
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

  /** Has the states of all projections written as they are now, and resolves when they are. */
  async keepStates(): Promise<void> {
    for (const keep of this.#keepers.values()) keep();
    await this.#states.settled();
  }

  /** Has all states written for the last time. */
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
    await this.#approach(fold, signal);
    const held: Page[] = [];
    const holding = folded$.subscribe((page) => held.push(page));
    try {
      await this.#foldLog(fold, signal);
      // Nothing waits from here on until the projection follows by itself: no page can come in between.
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

  // Reading is faster than writing, so this comes near the head. To meet it between two writes might take for ever.
  async #approach<View>(fold: ProjectionFold<View>, signal: AbortSignal | undefined): Promise<void> {
    while (this.#context.reader.head.seq - fold.seq > JOIN_EVENTS) await this.#foldLog(fold, signal);
  }

  /** Folds what the log holds up to the head of this moment. */
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
