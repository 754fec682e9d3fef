import { StoreError } from '../../errors.js';
import type { ProjectionState, SnapshotFolder } from '../snapshots/snapshot-folder.js';
import type { OwnProjection } from './own-projection.js';
import { type ProjectionFold, projectionFailed, type ViewAt } from './projection-fold.js';

export interface KeptStatesOptions {
  /** Where states outlive the process. */
  readonly folder: Pick<SnapshotFolder, 'readProjectionState' | 'writeProjectionState'>;
  /** Whether states are written; they are read in any case. */
  readonly readOnly: boolean;
  readonly onNotice: (notice: string) => void;
}

/** Begins projections where their states are, and writes states one after another. Nothing here hurts a projection. */
export class KeptStates {
  readonly #options: KeptStatesOptions;
  /** Up to which event the state that is kept of each name goes. */
  readonly #keptSeqs = new Map<string, number>();
  #writing: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(options: KeptStatesOptions) {
    this.#options = options;
  }

  /**
   * Returns the view that a projection goes on from: what its state decodes to, or else the view of an empty log.
   * @throws {StoreError} PROJECTION_OUTDATED when the state is of a higher version; PROJECTION_FAILED when `initial` throws
   */
  async startOf<View>(projection: OwnProjection<View>): Promise<ViewAt<View>> {
    const { name, version } = projection;
    // The one that had the name before may still be having its state written.
    await this.#writing;
    const state = await this.#options.folder.readProjectionState(name);
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
    if (encode === undefined || !isNew || this.#options.readOnly || this.#isEnded) return;
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
      await this.#options.folder.writeProjectionState(name, version, seq, bytes);
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
    this.#options.onNotice(`${what}: ${error instanceof Error ? error.message : String(error)}`);
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
