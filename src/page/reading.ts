import { StoreError, thrownText } from '../errors.js';
import { type ParsedCheckpoint, checkProof, formatProof, parseCheckpoint } from '../log/checkpoint.js';
import {
  Frontier,
  hashInTile,
  joinHashes,
  leafHash,
  proveInclusion,
  type Tile,
  TILE_WIDTH,
  type TileReader,
  treeRoot,
} from '../log/merkle.js';
import { decodeRecord } from '../log/record.js';
import { equalBytes, startsWithBytes } from '../model/bytes.js';
import { type Digest, HASH_BYTES } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { checkedContent, type LogSource } from './source.js';
import { Timeline } from './timeline.js';

/** The first record that is not what the checkpoint commits to, and where. */
export interface Damage {
  /** Event; undefined when the records agree among themselves and lead to another root. */
  readonly seq: number | undefined;
  /** What is wrong, a sentence without its end. */
  readonly what: string;
  /** Further events whose record is wrong. */
  readonly others: number;
}

/** What re-hashing every record found. */
export interface TreeVerdict {
  readonly origin: string;
  readonly size: number;
  /** Root of the checkpoint, base64 by callers. */
  readonly root: Uint8Array;
  /** Records that were hashed here. */
  readonly hashed: number;
  /** Events before the first record that is there: only their hashes are. */
  readonly leftOut: number;
  readonly damage: Damage | undefined;
  /** Event that this page cannot read, though its record is sound: a later version wrote it. */
  readonly unread: { readonly seq: number; readonly why: string } | undefined;
}

export interface ReadingOptions {
  /** Called after each tile of 256 events. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Tiles that are asked for at the same time: over HTTP each takes a round trip. */
const TILES_AHEAD = 12;
/** Tiles of records that are kept once they were shown: some 40 kB each. */
const KEPT_TILES = 256;

/** A log that was read as a whole: every record hashed, the tree built, the events folded. */
export class Reading {
  readonly timeline: Timeline;
  readonly #source: LogSource;
  readonly #tree: LeafTree;
  readonly #kept = new Map<number, Promise<readonly Uint8Array[]>>();
  #checkpoint: ParsedCheckpoint;
  #checkpointText: string;
  #verdict: TreeVerdict | undefined;

  private constructor(source: LogSource, checkpointText: string) {
    this.#source = source;
    this.timeline = new Timeline(source.first);
    this.#tree = new LeafTree();
    this.#checkpointText = checkpointText;
    this.#checkpoint = parseCheckpoint(checkpointText);
  }

  /** Reads the checkpoint of a log; `read` reads its events. @throws {StoreError} CHECKPOINT_INVALID; {Error} when the source fails */
  static async begin(source: LogSource): Promise<Reading> {
    const reading = new Reading(source, await source.checkpoint());
    for (let index = 0; index * TILE_WIDTH < source.first - 1; index++) {
      const hash = source.tileHash(index);
      if (hash === undefined) throw new StoreError('BACKUP_INVALID', `the hash of tile ${index} is missing`);
      reading.#tree.appendTile(hash);
    }
    return reading;
  }

  /**
   * Hashes and folds the events after the last, up to the checkpoint. Questions about those that were
   * folded can be asked meanwhile.
   */
  async read({ onProgress }: ReadingOptions = {}): Promise<void> {
    const { size } = this.#checkpoint;
    let unread: TreeVerdict['unread'];
    let missing: Damage | undefined;
    for await (const { index, records } of this.#tilesFrom(this.#tree.size, size)) {
      const skipped = this.#tree.size - index * TILE_WIDTH;
      for (const record of records.slice(skipped, skipped + size - this.#tree.size)) {
        this.#tree.append(leafHash(record));
        const seq = this.#tree.size;
        if (unread === undefined && this.timeline.last === seq - 1) unread = this.#foldRecord(record, seq);
      }
      if (this.#tree.size < Math.min(size, (index + 1) * TILE_WIDTH)) {
        missing = { seq: this.#tree.size + 1, what: 'its record is missing', others: size - this.#tree.size - 1 };
        break;
      }
      onProgress?.(this.#tree.size, size);
    }
    const isWhole = missing === undefined && equalBytes(this.#tree.root(), this.#checkpoint.root);
    const damage = isWhole ? undefined : (missing ?? (await this.#locate(unread)));
    this.#verdict = this.#verdictOf(damage, damage === undefined ? unread : undefined);
  }

  /** Undefined until all was read. */
  get verdict(): TreeVerdict | undefined {
    return this.#verdict;
  }

  /** The checkpoint that everything is checked against. */
  get checkpoint(): ParsedCheckpoint {
    return this.#checkpoint;
  }

  get key(): string | undefined {
    return this.#source.key;
  }

  get leftOut(): LogSource['leftOut'] {
    return this.#source.leftOut;
  }

  get sourceKind(): LogSource['kind'] {
    return this.#source.kind;
  }

  /** Takes a later checkpoint of the source, up to which `read` then reads. Resolves with whether there is one. */
  async refresh(): Promise<boolean> {
    const text = await this.#source.checkpoint();
    if (text === this.#checkpointText) return false;
    this.#checkpoint = parseCheckpoint(text);
    this.#checkpointText = text;
    // The last tile has more records now.
    this.#kept.clear();
    return true;
  }

  /** Root of the first `size` events as hashed here. @throws {RangeError} when fewer were read */
  rootAt(size: number): Promise<Uint8Array> {
    if (size > this.#tree.size) throw new RangeError(`${this.#tree.size} events were read, and not ${size}`);
    return this.#tree.rootOf(size);
  }

  #foldRecord(record: Uint8Array, seq: number): TreeVerdict['unread'] {
    try {
      // A copy: the decoder may modify it.
      const event = decodeRecord(record.slice());
      if (event.seq !== seq) return { seq, why: `it says that it is event ${event.seq}` };
      this.timeline.fold(event);
      return undefined;
    } catch (error) {
      return { seq, why: thrownText(error) };
    }
  }

  /** Compares the hash of each record with the one that the source has beside it. */
  async #locate(unread: TreeVerdict['unread']): Promise<Damage> {
    const { size } = this.#checkpoint;
    const wrong: number[] = [];
    for (let index = Math.floor((this.#source.first - 1) / TILE_WIDTH); index * TILE_WIDTH < size; index++) {
      const witnesses = await this.#source.witnesses(index, size);
      for (const [at, witness] of witnesses.entries()) {
        const seq = index * TILE_WIDTH + at + 1;
        if (seq <= size && !startsWithBytes(this.#tree.leaf(seq - 1), witness)) wrong.push(seq);
      }
    }
    const [seq, ...others] = wrong;
    if (seq !== undefined) return { seq, what: 'its hash is not the one that was recorded', others: others.length };
    if (unread !== undefined) return { seq: unread.seq, what: unread.why, others: 0 };
    return { seq: undefined, what: 'the records lead to another root than that of the checkpoint', others: 0 };
  }

  /** Tiles of records that have events after the first `from`, several asked for at once. */
  async *#tilesFrom(
    from: number,
    size: number,
  ): AsyncGenerator<{ readonly index: number; readonly records: readonly Uint8Array[] }> {
    const waiting: Promise<{ readonly index: number; readonly records: readonly Uint8Array[] }>[] = [];
    const last = Math.ceil(size / TILE_WIDTH);
    for (let index = Math.floor(from / TILE_WIDTH); index < last || waiting.length > 0; index++) {
      if (index < last) {
        const read = this.#source.records(index, size).then((records) => ({ index, records }));
        // The loop hears of it at its turn.
        read.catch(() => undefined);
        waiting.push(read);
      }
      if (waiting.length < TILES_AHEAD && index < last - 1) continue;
      const next = waiting.shift();
      if (next !== undefined) yield await next;
    }
  }

  #verdictOf(damage: TreeVerdict['damage'], unread: TreeVerdict['unread']): TreeVerdict {
    const { origin, size, root } = this.#checkpoint;
    const leftOut = this.#source.first - 1;
    return { origin, size, root, hashed: Math.max(0, this.#tree.size - leftOut), leftOut, damage, unread };
  }

  /** Record of an event that was hashed. @throws {StoreError} EVENT_NOT_FOUND */
  async record(seq: number): Promise<Uint8Array> {
    const index = Math.floor((seq - 1) / TILE_WIDTH);
    const known = this.#kept.get(index);
    const tile = known ?? this.#source.records(index, this.#checkpoint.size);
    this.#kept.delete(index);
    this.#kept.set(index, tile);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_TILES) break;
      this.#kept.delete(oldest);
    }
    const record = (await tile)[(seq - 1) % TILE_WIDTH];
    if (record === undefined) throw new StoreError('EVENT_NOT_FOUND', `there is no event ${seq} here`);
    return record;
  }

  /** Event, read again from its record. @throws {StoreError} EVENT_NOT_FOUND */
  async event(seq: number): Promise<StoredEvent> {
    if (seq > this.timeline.last) throw new StoreError('EVENT_NOT_FOUND', `there is no event ${seq} here`);
    return decodeRecord((await this.record(seq)).slice());
  }

  /** Content with this digest, which was checked; undefined when it is not there, or other bytes are. */
  async content(digest: Digest): Promise<Uint8Array | undefined> {
    return checkedContent(digest, await this.#source.content(digest));
  }

  /**
   * Resolves with the text of a `.tlog-proof` file for an event, which was checked up to the checkpoint.
   * @throws {StoreError} EVENT_NOT_FOUND; PROOF_REJECTED when its record is not what the checkpoint commits to
   */
  async prove(seq: number): Promise<string> {
    const { size } = this.#checkpoint;
    const record = await this.record(seq);
    const hashes = await proveInclusion(this.#tree, seq - 1, size);
    const text = formatProof({ index: seq - 1, hashes, checkpoint: this.#checkpointText, extra: record });
    await checkProof(text);
    return text;
  }
}

/** All hashes of a Merkle tree, level by level, in columns: 32 bytes a leaf. */
class LeafTree implements TileReader {
  readonly #frontier = new Frontier();
  #leaves = new Uint8Array(0);
  /** Leaves before the first that is here. */
  #leftOut = 0;
  /** Hashes of each level above the leaves. */
  readonly #upper: Uint8Array[][] = [];

  get size(): number {
    return this.#frontier.size;
  }

  root(): Uint8Array {
    return this.#frontier.root();
  }

  rootOf(size: number): Promise<Uint8Array> {
    return treeRoot(this, size);
  }

  append(leaf: Uint8Array): void {
    const start = (this.size - this.#leftOut) * HASH_BYTES;
    if (start + HASH_BYTES > this.#leaves.length) {
      const larger = new Uint8Array(HASH_BYTES * TILE_WIDTH + start + (start >>> 1));
      larger.set(this.#leaves);
      this.#leaves = larger;
    }
    this.#leaves.set(leaf, start);
    this.#keep(this.#frontier.append(leaf));
  }

  appendTile(hash: Uint8Array): void {
    this.#leftOut += TILE_WIDTH;
    this.#keep([{ level: 1, hash }, ...this.#frontier.appendTile(hash)]);
  }

  leaf(index: number): Uint8Array {
    return hashInTile(this.#leaves, index - this.#leftOut);
  }

  readTile({ level, index, width }: Tile): Promise<Uint8Array> {
    const from = index * TILE_WIDTH;
    const all =
      level === 0
        ? Array.from({ length: width }, (_, at) => this.leaf(from + at))
        : (this.#upper[level - 1] ?? []).slice(from, from + width);
    return Promise.resolve(joinHashes(all));
  }

  #keep(completed: readonly { readonly level: number; readonly hash: Uint8Array }[]): void {
    for (const { level, hash } of completed) {
      const hashes = this.#upper[level - 1];
      if (hashes === undefined) this.#upper[level - 1] = [hash];
      else hashes.push(hash);
    }
  }
}
