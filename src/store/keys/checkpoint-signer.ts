import { StoreError } from '../../errors.js';
import { type Checkpoint, checkOriginOf, signCheckpoint } from '../../log/checkpoint.js';
import type { TreeHead } from '../../log/merkle/check-proof.js';
import type { NoteSigner } from '../../log/note-key.js';
import { readKeyFile } from './key-file.js';
import { SigningMemory } from './signing-memory.js';

/**
 * Whether the log of a checkpoint begins with an earlier tree. False as well when that tree is larger than the log.
 * @throws what reading the log throws
 */
export type BeginsWith = (earlier: TreeHead) => Promise<boolean>;

/**
 * Signs the checkpoints of one log.
 *
 * Implementers: never give signatures of two checkpoints of which neither log begins with the other (C2SP
 * tlog-checkpoint, Signatures), whatever crashes and whoever else uses the key. What was signed is remembered durably
 * before its signature is given.
 */
export interface CheckpointSigner {
  /** Name of the key and of the only log that it signs for. */
  readonly origin: string;
  /** What others check the signatures with, in the key format of Go's sumdb/note. */
  readonly verifierKey: string;
  /**
   * Returns when the log begins with all that was signed so far.
   * @throws {StoreError} CHECKPOINT_FORKED when it does not
   */
  check(beginsWith: BeginsWith): Promise<void>;
  /**
   * Resolves with the signed text of `checkpoint`, a tree of the log that `beginsWith` is about.
   * @throws {StoreError} CHECKPOINT_FORKED, CHECKPOINT_FOREIGN
   */
  sign(checkpoint: Checkpoint, beginsWith: BeginsWith): Promise<string>;
}

/** What `readSigner` of the library does, which says how. */
export async function readSigner(path: string): Promise<CheckpointSigner> {
  return new KeyFileSigner(await readKeyFile(path), new SigningMemory(path));
}

/**
 * Returns when a key of this name may sign for the log `origin`.
 * @throws {StoreError} KEY_FOREIGN
 */
export function checkKeyName(name: string, origin: string): void {
  if (name === origin) return;
  const message = `the key is of the log ${JSON.stringify(name)}, this one is ${JSON.stringify(origin)}`;
  throw new StoreError('KEY_FOREIGN', message, { data: { name, origin } });
}

class KeyFileSigner implements CheckpointSigner {
  readonly #key: NoteSigner;
  readonly #memory: SigningMemory;

  constructor(key: NoteSigner, memory: SigningMemory) {
    this.#key = key;
    this.#memory = memory;
  }

  get origin(): string {
    return this.#key.name;
  }

  get verifierKey(): string {
    return this.#key.verifierKey;
  }

  async check(beginsWith: BeginsWith): Promise<void> {
    const last = await this.#memory.last();
    if (last !== undefined) await this.#need(last.checkpoint, beginsWith);
  }

  async sign(checkpoint: Checkpoint, beginsWith: BeginsWith): Promise<string> {
    checkOriginOf(checkpoint, this.origin);
    for (;;) {
      const last = await this.#memory.last();
      if (last !== undefined) await this.#need(last.checkpoint, beginsWith);
      // What is signed already, or a part of it, needs no second memory.
      const isRemembered = last !== undefined && last.checkpoint.size >= checkpoint.size;
      // Whoever wrote it may have failed, or not be done: its name may not be durable yet.
      if (isRemembered) await this.#memory.sync();
      if (isRemembered || (await this.#memory.advance(last, checkpoint))) break;
    }
    // A crash before this leaves a memory of a signature that nobody has; after it, one that is remembered.
    return signCheckpoint(checkpoint, this.#key);
  }

  async #need(earlier: Checkpoint, beginsWith: BeginsWith): Promise<void> {
    checkOriginOf(earlier, this.origin);
    if (await beginsWith(earlier)) return;
    throw new StoreError(
      'CHECKPOINT_FORKED',
      `the key of ${this.origin} signed a log of ${earlier.size} events that this one does not begin with`,
      { data: { origin: this.origin, size: earlier.size } },
    );
  }
}
