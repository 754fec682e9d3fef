import { isStoreError, StoreError, thrownText } from '../errors.js';
import { MAX_PAGE_PENDING_EVENTS } from '../limits.js';
import { type ParsedCheckpoint, checkOriginOf, checkProof, formatProof, parseCheckpoint } from '../log/checkpoint.js';
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
import { type Digest, digestOf, HASH_BYTES } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import type { LogSource } from './source.js';
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
  /** What the verdict is about. */
  #checkpoint: SentCheckpoint;
  /** What is read next, or again: a later one of the same log. */
  #target: SentCheckpoint;
  #verdict: TreeVerdict | undefined;
  #unread: TreeVerdict['unread'];
  /** Events of a later checkpoint, until they lead to its root. */
  #pending: StoredEvent[] = [];

  private constructor(source: LogSource, checkpoint: string) {
    this.#source = source;
    this.timeline = new Timeline(source.first);
    this.#tree = new LeafTree();
    this.#target = { sent: checkpoint, parsed: parseCheckpoint(checkpoint) };
    this.#checkpoint = this.#target;
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
   * Hashes and folds the events after the last, up to the newest checkpoint. Questions about those that
   * were folded can be asked meanwhile. When the source fails, the next call continues from there.
   */
  async read({ onProgress }: ReadingOptions = {}): Promise<void> {
    const target = this.#target;
    const { size, root } = target.parsed;
    // So many at once are shown as the first ones are: while they are read, and with no verdict.
    if (size - this.#tree.size > MAX_PAGE_PENDING_EVENTS) {
      this.#verdict = undefined;
      this.#foldPending();
    }
    let unreadable: Damage | undefined;
    try {
      for await (const { index, records } of this.#tilesFrom(this.#tree.size, size)) {
        const skipped = this.#tree.size - index * TILE_WIDTH;
        for (const record of records.slice(skipped, skipped + size - this.#tree.size)) this.#add(record);
        if (this.#tree.size < Math.min(size, (index + 1) * TILE_WIDTH)) {
          unreadable = this.#nextIsWrong('its record is missing', size);
          break;
        }
        onProgress?.(this.#tree.size, size);
      }
    } catch (error) {
      // A server that cannot be reached says nothing about the log.
      if (!isStoreError(error)) throw error;
      unreadable = this.#nextIsWrong(`its record cannot be read: ${error.message}`, size);
    }
    const isWhole = unreadable === undefined && equalBytes(this.#tree.root(), root);
    const damage = isWhole ? undefined : (unreadable ?? (await this.#locate(target.parsed)));
    this.#foldPending();
    this.#checkpoint = target;
    this.#verdict = this.#verdictOf(damage);
  }

  #foldPending(): void {
    for (const event of this.#pending.splice(0)) this.timeline.fold(event);
  }

  #nextIsWrong(what: string, size: number): Damage {
    return { seq: this.#tree.size + 1, what, others: size - this.#tree.size - 1 };
  }

  /** Undefined until all was read. */
  get verdict(): TreeVerdict | undefined {
    return this.#verdict;
  }

  /** The checkpoint that the verdict is about; the one that is read, while there is no verdict. */
  get checkpoint(): ParsedCheckpoint {
    return this.#verdict === undefined ? this.#target.parsed : this.#checkpoint.parsed;
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

  /**
   * Takes the newest checkpoint of the source, up to which `read` then reads. Resolves with whether there is
   * something to read. @throws {StoreError} CHECKPOINT_INVALID; CHECKPOINT_FOREIGN for another log
   */
  async refresh(): Promise<boolean> {
    const sent = await this.#source.checkpoint();
    if (sent === this.#target.sent) return this.#target !== this.#checkpoint || this.#verdict === undefined;
    const parsed = parseCheckpoint(sent);
    checkOriginOf(parsed, this.#checkpoint.parsed.origin);
    this.#target = { sent, parsed };
    // The last tile has more records now.
    this.#kept.clear();
    return true;
  }

  /** Root of the first `size` events as hashed here. @throws {RangeError} when fewer were read */
  rootAt(size: number): Promise<Uint8Array> {
    if (size > this.#tree.size) throw new RangeError(`${this.#tree.size} events were read, and not ${size}`);
    return this.#tree.rootOf(size);
  }

  #add(record: Uint8Array): void {
    this.#tree.append(leafHash(record));
    const seq = this.#tree.size;
    if (this.#unread !== undefined) return;
    try {
      const event = decoded(record, seq);
      if (this.#verdict === undefined) this.timeline.fold(event);
      else this.#pending.push(event);
    } catch (error) {
      this.#unread = { seq, why: thrownText(error) };
    }
  }

  /** Compares the hash of each record with the one that the source has beside it. */
  async #locate({ size }: ParsedCheckpoint): Promise<Damage> {
    if (size < this.#tree.size) {
      const what = `the log has ${size} events now, and had ${this.#tree.size}`;
      return { seq: undefined, what, others: 0 };
    }
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
    if (this.#unread !== undefined) return { seq: this.#unread.seq, what: this.#unread.why, others: 0 };
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

  #verdictOf(damage: TreeVerdict['damage']): TreeVerdict {
    const { origin, size, root } = this.#checkpoint.parsed;
    const leftOut = this.#source.first - 1;
    const unread = damage === undefined ? this.#unread : undefined;
    return { origin, size, root, hashed: Math.max(0, this.#tree.size - leftOut), leftOut, damage, unread };
  }

  /**
   * Record of an event, the one that was hashed. @throws {StoreError} EVENT_NOT_FOUND; PROOF_REJECTED when the
   * source gives other bytes than before
   */
  async record(seq: number): Promise<Uint8Array> {
    const records = seq >= this.#source.first && seq <= this.#tree.size ? await this.#tile(seq) : [];
    const record = records[(seq - 1) % TILE_WIDTH];
    if (record === undefined) throw new StoreError('EVENT_NOT_FOUND', `there is no event ${seq} here`);
    if (equalBytes(leafHash(record), this.#tree.leaf(seq - 1))) return record;
    throw new StoreError('PROOF_REJECTED', `the record of event ${seq} is not the one that was hashed here`);
  }

  #tile(seq: number): Promise<readonly Uint8Array[]> {
    const index = Math.floor((seq - 1) / TILE_WIDTH);
    const tile = this.#kept.get(index) ?? this.#source.records(index, this.#target.parsed.size);
    this.#kept.delete(index);
    this.#kept.set(index, tile);
    // The next question asks for it again.
    tile.catch(() => this.#kept.get(index) === tile && this.#kept.delete(index));
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_TILES) break;
      this.#kept.delete(oldest);
    }
    return tile;
  }

  /** Event, read again from its record. @throws {StoreError} as `record` */
  async event(seq: number): Promise<StoredEvent> {
    if (seq > this.timeline.last) throw new StoreError('EVENT_NOT_FOUND', `there is no event ${seq} here`);
    return decoded(await this.record(seq), seq);
  }

  /**
   * Content with this digest, which was checked; undefined when it is not there.
   * @throws {StoreError} CONTENT_CORRUPT when other bytes are; BACKUP_INVALID when a document is damaged there
   */
  async content(digest: Digest): Promise<Uint8Array | undefined> {
    const bytes = await this.#source.content(digest);
    if (bytes === undefined || digestOf(bytes) === digest) return bytes;
    throw new StoreError('CONTENT_CORRUPT', `the bytes that came for ${digest} have another digest`);
  }

  /**
   * Resolves with the text of a `.tlog-proof` file for an event, which was checked up to the checkpoint.
   * @throws {StoreError} EVENT_NOT_FOUND; PROOF_REJECTED when its record is not what the checkpoint commits to
   */
  async prove(seq: number): Promise<string> {
    const { sent, parsed } = this.#checkpoint;
    const record = await this.record(seq);
    if (this.#verdict === undefined || seq > parsed.size) {
      throw new StoreError('EVENT_NOT_FOUND', `event ${seq} is not checked yet`);
    }
    const hashes = await proveInclusion(this.#tree, seq - 1, parsed.size);
    const text = formatProof({ index: seq - 1, hashes, checkpoint: sent, extra: record });
    await checkProof(text);
    return text;
  }
}

/** A checkpoint as the source sent it. */
interface SentCheckpoint {
  readonly sent: string;
  readonly parsed: ParsedCheckpoint;
}

/** Decodes the record at a place of the log. @throws {StoreError} LOG_CORRUPT, and those of decodeRecord */
function decoded(record: Uint8Array, seq: number): StoredEvent {
  // A copy: the decoder may modify it.
  const event = decodeRecord(record.slice());
  if (event.seq === seq) return event;
  throw new StoreError('LOG_CORRUPT', `it says that it is event ${event.seq}`);
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
