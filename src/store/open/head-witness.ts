import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { bytesToHex } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { ioFailure, systemCode, writeDurableFile } from '../files/durable-file.js';

/** Name of the witness in a store's directory. It may be deleted: then one check less is made at the next open. */
const WITNESS_FILE = 'head.json';
/** Events after which the witness is written again. */
const WITNESSED_EVERY = 1_000;

/** An event that was durable once. */
interface Witness {
  readonly seq: number;
  readonly leafHash: string;
}

/**
 * A file beside the database that says how far the log went. LevelDB that lost the end of its log opens without an
 * error, and without a gap: only something outside of it can tell.
 */
export class HeadWitness {
  readonly #path: string;
  readonly #log: Log;
  #seq = 0;

  constructor(directory: string, log: Log) {
    this.#path = join(directory, WITNESS_FILE);
    this.#log = log;
  }

  /**
   * Returns when the log holds the event that was last witnessed.
   * @throws {StoreError} LOG_CORRUPT when it does not, IO_FAILED, STORE_NOT_WRITABLE
   */
  async check(): Promise<void> {
    const witness = await this.#read();
    if (witness === undefined) return;
    const { seq, leafHash } = witness;
    const found = this.#log.leafHash(seq);
    if (found !== undefined && bytesToHex(found) === leafHash) {
      this.#seq = seq;
      return;
    }
    const what =
      found === undefined
        ? `the log ends at seq ${this.#log.head.seq}, expected at least ${seq}: its end was lost`
        : `event ${seq} of the log is not the one that was written`;
    throw new StoreError('LOG_CORRUPT', `the store is damaged: ${what}`, { data: { seq, head: this.#log.head.seq } });
  }

  /**
   * Takes note of events that are durable. The head is written when they name blobs, which an open would take for
   * garbage if it did not miss the events, and every WITNESSED_EVERY events.
   */
  async note(events: readonly StoredEvent[]): Promise<void> {
    const namesBlobs = events.some(({ type }) => type === 'LayerAdded' || type === 'ManifestAdded');
    if (namesBlobs || this.#log.head.seq - this.#seq >= WITNESSED_EVERY) await this.write();
  }

  /** Witnesses the head. The events are durable already, so that a failure costs nothing but this check. */
  async write(): Promise<void> {
    const { seq } = this.#log.head;
    if (seq === this.#seq) return;
    const leafHash = this.#log.leafHash(seq);
    if (leafHash === undefined) return;
    const witness: Witness = { seq, leafHash: bytesToHex(leafHash) };
    const text = `${JSON.stringify(witness)}\n`;
    await writeDurableFile(this.#path, new TextEncoder().encode(text)).then(
      () => {
        this.#seq = seq;
      },
      () => undefined,
    );
  }

  async #read(): Promise<Witness | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw ioFailure(`read ${this.#path}`, error);
    }
    return parseWitness(text);
  }
}

// The file is replaced as a whole; one that is no witness says nothing about the log.
function parseWitness(text: string): Witness | undefined {
  try {
    const { seq, leafHash } = Object(JSON.parse(text)) as Partial<Witness>;
    return typeof seq === 'number' && seq >= 1 && typeof leafHash === 'string' ? { seq, leafHash } : undefined;
  } catch {
    // Not JSON: as above.
    return undefined;
  }
}
