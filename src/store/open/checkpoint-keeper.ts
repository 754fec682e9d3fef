import { join } from 'node:path';
import { equalBytes } from '../../model/bytes.js';
import { StoreError, thrownText } from '../../errors.js';
import { beginsWith, type Head, type Log } from '../../log/log.js';
import { Mutex, NotAFile, readRegularFile, writeDurableFile } from '../files/files.js';
import { MAX_NOTE_BYTES } from '../../limits.js';
import {
  checkOriginOf,
  type Checkpoint,
  formatCheckpoint,
  parseCheckpoint,
  type ParsedCheckpoint,
} from '../../log/checkpoint.js';
import { Frontier, hashInTile, TILE_WIDTH, tileOfTree, type TreeHead } from '../../log/merkle.js';
import { parseVerifierKey, verifyNote } from '../../log/note.js';
import type { StoredEvent } from '../../model/events.js';
import { factsOf } from '../../model/event-table.js';
import { checkKeyName, type CheckpointSigner } from '../keys.js';

/** The newest checkpoint in a store's directory. Deleting it costs one check at the next open. */
export const CHECKPOINT_FILE = 'checkpoint';
/** Events after which the checkpoint is rewritten. */
const WRITTEN_EVERY = 1_000;

interface CheckpointKeeperOptions {
  readonly directory: string;
  readonly origin: string;
  readonly log: Log;
  readonly signer: CheckpointSigner | undefined;
  readonly onNotice: (notice: string) => void;
}

/**
 * Reads a store's checkpoint file, at most MAX_NOTE_BYTES + 1 bytes; undefined when missing.
 * @throws {StoreError} CHECKPOINT_INVALID when it is not a file
 */
export async function readCheckpointFile(directory: string): Promise<Uint8Array | undefined> {
  const path = join(directory, CHECKPOINT_FILE);
  return readRegularFile(path, { limitBytes: MAX_NOTE_BYTES }).catch((error: unknown) => {
    throw error instanceof NotAFile ? unbelievable(path, new Error('it is not a file')) : error;
  });
}

/** The first `seq` events of a log, and the root over them. */
type LogTree = Pick<Head, 'seq' | 'root'>;

/**
 * Keeps the newest checkpoint in a file beside the database. If LevelDB loses the end of its log it
 * opens without an error and without a gap: only something outside can tell.
 */
export class CheckpointKeeper {
  readonly #options: CheckpointKeeperOptions;
  readonly #path: string;
  /** Contents of the file; undefined before the first write, and when unknown. */
  #written: ParsedCheckpoint | undefined;
  #text = '';
  /** Serializes writes, so that an older checkpoint never replaces a newer one. */
  readonly #writing = new Mutex();

  constructor(options: CheckpointKeeperOptions) {
    this.#options = options;
    this.#path = join(options.directory, CHECKPOINT_FILE);
  }

  /**
   * Checks that the log contains everything that the file and the key committed to. Pass what was
   * `read` of the file before the log was opened, if it was.
   * @throws {StoreError} LOG_CORRUPT when it does not; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN or
   *   SIGNATURE_INVALID for a file that cannot be trusted; KEY_FOREIGN; CHECKPOINT_FORKED when the
   *   key signed what is not in this log
   */
  async check(...read: readonly [(Uint8Array | undefined)?]): Promise<void> {
    const { origin, log, signer, directory } = this.#options;
    if (signer !== undefined) checkKeyName(signer.origin, origin);
    const bytes = read.length > 0 ? read[0] : await readCheckpointFile(directory);
    if (bytes !== undefined) {
      const checkpoint = await this.#believable(bytes);
      if (!(await this.#logBeginsWith(checkpoint))) throw lost(this.#path, checkpoint, log.head.seq);
      this.#take(checkpoint, new TextDecoder().decode(bytes));
    }
    await signer?.check((earlier) => this.#logBeginsWith(earlier));
  }

  /** Tree size of the checkpoint in the file; 0 when there is none. */
  get size(): number {
    return this.#written?.size ?? 0;
  }

  /**
   * Called with durable events. Writes a checkpoint every WRITTEN_EVERY events, and when they name
   * blobs: if such events were lost unnoticed, an open would remove the blobs as garbage.
   */
  async note(events: readonly StoredEvent[]): Promise<void> {
    const namesBlobs = events.some((event) => factsOf(event).blobs(event).length > 0);
    if (namesBlobs || this.#options.log.head.seq - (this.#written?.size ?? 0) >= WRITTEN_EVERY) await this.write();
  }

  /** Writes a checkpoint of the head. Failures become notices: they only cost a check. */
  async write(): Promise<void> {
    // An empty store needs no first checkpoint.
    if (this.#options.log.head.seq === 0 && this.#written === undefined) return;
    await this.newest().catch((error: unknown) => {
      const why = thrownText(error);
      this.#options.onNotice(`the checkpoint of the log was not written: ${why}`);
    });
  }

  /**
   * Writes a durable checkpoint of the head, signed if there is a signer; resolves with its text.
   * @throws {StoreError} CHECKPOINT_FORKED
   */
  newest(): Promise<string> {
    return this.#writing.run(() => this.#writeNewest());
  }

  /**
   * Checks the log, then writes a checkpoint of the head even if the file seems current.
   * @throws {StoreError} as `check` and `newest`
   */
  renew(): Promise<string> {
    return this.#writing.run(async () => {
      await this.check();
      // The file may have been removed since it was written.
      this.#written = undefined;
      return this.#writeNewest();
    });
  }

  /** Returns the text of a checkpoint of the head without writing it; the file's if current. */
  unwritten(): string {
    const { head } = this.#options.log;
    return this.#written?.size === head.seq ? this.#text : formatCheckpoint(this.#checkpointOf(head));
  }

  /**
   * Resolves with the text of a checkpoint of a tree of the log, past or present, signed if there is
   * a signer. Leaves the file alone.
   * @throws {StoreError} CHECKPOINT_FORKED
   */
  async at(tree: LogTree): Promise<string> {
    return (await this.#writtenAt(tree)) ?? this.#textAt(tree);
  }

  /** Returns the text of a checkpoint without a signature. */
  unsigned(tree: LogTree): string {
    return formatCheckpoint(this.#checkpointOf(tree));
  }

  /** The key that verifies the signatures; undefined without a signer. */
  get verifierKey(): string | undefined {
    return this.#options.signer?.verifierKey;
  }

  async #writeNewest(): Promise<string> {
    const written = await this.#writtenAt(this.#options.log.head);
    if (written !== undefined) return written;
    const text = await this.#textAt(this.#options.log.head);
    await writeDurableFile(this.#path, new TextEncoder().encode(text));
    this.#take(parseCheckpoint(text), text);
    return text;
  }

  /** Resolves with the text of the file if that is of `head`, and signed if there is a signer. */
  async #writtenAt({ seq }: LogTree): Promise<string | undefined> {
    const { signer } = this.#options;
    // Read now: a newer checkpoint may replace them while the signature is checked.
    const [written, text] = [this.#written, this.#text];
    if (written?.size !== seq) return undefined;
    return signer === undefined || (await isSignedBy(written, signer)) ? text : undefined;
  }

  async #textAt(tree: LogTree): Promise<string> {
    const { signer } = this.#options;
    const checkpoint = this.#checkpointOf(tree);
    return signer ? signer.sign(checkpoint, (earlier) => this.#logBeginsWith(earlier)) : formatCheckpoint(checkpoint);
  }

  #checkpointOf({ seq, root }: LogTree): Checkpoint {
    return { origin: this.#options.origin, size: seq, root, extensions: [] };
  }

  #take(checkpoint: ParsedCheckpoint, text: string): void {
    this.#written = checkpoint;
    this.#text = text;
  }

  #logBeginsWith(earlier: TreeHead): Promise<boolean> {
    return beginsWith(this.#options.log, earlier);
  }

  // The file is replaced atomically, so damage or an edit must not skip the check.
  async #believable(bytes: Uint8Array): Promise<ParsedCheckpoint> {
    const { origin, signer } = this.#options;
    let checkpoint: ParsedCheckpoint;
    try {
      checkpoint = parseCheckpoint(bytes);
    } catch (cause) {
      throw unbelievable(this.#path, cause);
    }
    checkOriginOf(checkpoint, origin);
    if (signer !== undefined) await isSignedBy(checkpoint, signer);
    return checkpoint;
  }
}

/**
 * Whether the signer's key signed the checkpoint.
 * @throws {StoreError} SIGNATURE_INVALID when it has a signature of the key that does not verify
 */
async function isSignedBy(checkpoint: ParsedCheckpoint, signer: CheckpointSigner): Promise<boolean> {
  const verifier = await parseVerifierKey(signer.verifierKey);
  const isNamed = checkpoint.signatures.some(({ name, keyId }) => name === verifier.name && keyId === verifier.keyId);
  // It may be unsigned, or signed by a replaced key or a witness.
  if (!isNamed) return false;
  await verifyNote(checkpoint, [verifier]);
  return true;
}

function unbelievable(path: string, cause: unknown): StoreError {
  const why = thrownText(cause);
  const message = `cannot check the log against ${path}: ${why}`;
  return new StoreError('CHECKPOINT_INVALID', message, { cause, data: { path } });
}

function lost(path: string, { size }: TreeHead, head: number): StoreError {
  const what =
    size > head
      ? `the log ends at seq ${head}, and its checkpoint is of ${size} events: its end was lost, ${eventsFrom(head + 1, size)}. ` +
        `Restore a backup or rebuild the store; without ${path} it opens as if they had never existed`
      : `the events up to ${size} are not those of its checkpoint ${path}. Restore a backup`;
  return new StoreError('LOG_CORRUPT', `the store is damaged: ${what}`, {
    data: size > head ? { seq: size, head, lost: { from: head + 1, to: size }, path } : { seq: size, head, path },
  });
}

function eventsFrom(first: number, last: number): string {
  return first === last ? `event ${first}` : `events ${first} to ${last}`;
}

/**
 * Checks the log's tree against its records from `size` on; the tree up to `size` must be known to
 * be right. Rows of the tree are not checked when read, so a flipped bit that no checkpoint covers
 * would end up in the next one.
 * @throws {StoreError} LOG_CORRUPT when it differs, or an event is damaged
 */
export async function checkTreeTail(log: Log, size: number): Promise<void> {
  const { seq, root } = log.head;
  const frontier = await Frontier.read(log, size);
  for (let index = Math.floor(size / TILE_WIDTH); frontier.size < seq; index++) {
    const tile = tileOfTree(0, index, seq);
    const leaves = await log.readTile(tile);
    for (let at = frontier.size % TILE_WIDTH; at < tile.width; at++) frontier.append(hashInTile(leaves, at));
  }
  if (equalBytes(frontier.root(), root)) return;
  throw new StoreError('LOG_CORRUPT', "the store is damaged: a row of the log's tree is not what the events give", {
    data: { from: size + 1, to: seq, remedy: 'rebuild' },
  });
}
