import { lstatSync, readdirSync } from 'node:fs';
import { rename, rm, unlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MAX_UPLOAD_RECORD_BYTES } from '../../limits.js';
import { type Digest, digestHex, isDigest } from '../../model/digest.js';
import {
  inSystem,
  ioFailure,
  makeDurableDirectory,
  readRegularFileSync,
  syncDirectory,
  systemCode,
  unless,
  writeDurableFiles,
} from '../files/files.js';
import { UPLOAD_FOLDER } from '../open/vacancy.js';
import {
  formatStagedRecord,
  formatUploadRecord,
  parseStagedRecord,
  parseUploadRecord,
  type StagedRecord,
  type UploadRecord,
} from './upload-records.js';

/** An upload in progress, as its files say. */
export interface FoundUpload extends UploadRecord {
  readonly id: string;
  /** Bytes received. */
  readonly size: number;
  /** When its bytes were last written, milliseconds since the epoch. */
  readonly written: number;
}

/** A staged blob, as its files say. */
export interface FoundBlob extends StagedRecord {
  readonly digest: Digest;
}

/** What an upload folder has. */
interface Found {
  readonly uploads: readonly FoundUpload[];
  readonly blobs: readonly FoundBlob[];
  /** Paths of files that belong to nothing: a crash left them. */
  readonly strays: readonly string[];
  /** Paths of bytes whose record is damaged, or says otherwise. */
  readonly damaged: readonly string[];
}

const RECORD = '.json';

/**
 * The folder `uploads/` of a store. `incoming/` has `ID.json` and `ID` for each upload in progress
 * that has bytes. `staged/` has two for each blob: `HEX`, its bytes, and `HEX.json`; a record
 * is written after the bytes are whole, so bytes without a record count for nothing.
 */
export class UploadFolder {
  readonly #directory: string;
  readonly #incoming: string;
  readonly #staged: string;
  #isMade = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.#incoming = join(directory, UPLOAD_FOLDER, 'incoming');
    this.#staged = join(directory, UPLOAD_FOLDER, 'staged');
  }

  /** Returns the file of the bytes of an upload. */
  incomingPath(id: string): string {
    return join(this.#incoming, id);
  }

  /** Returns the file of a staged blob. */
  stagedPath(digest: Digest): string {
    return join(this.#staged, digestHex(digest));
  }

  /** Creates the folders, durable on return. */
  async make(): Promise<void> {
    if (this.#isMade) return;
    for (const name of ['incoming', 'staged']) await makeDurableDirectory(this.#directory, `${UPLOAD_FOLDER}/${name}`);
    this.#isMade = true;
  }

  /** Reads all records: synchronously, which takes a third of the time for the small files that they are. */
  read(): Found {
    const lost: Lost = { strays: [], damaged: [] };
    // A process killed in `create` leaves a record that is not whole, of no bytes.
    const begun = { ...lost, isBegun: true };
    const uploads = readRecords(this.#incoming, begun, (id, bytes, size, mtimeMs): FoundUpload | undefined => {
      const record = parseUploadRecord(bytes);
      return record && { ...record, id, size, written: Math.floor(mtimeMs) };
    });
    const blobs = readRecords(this.#staged, lost, (hex, bytes, size): FoundBlob | undefined => {
      const digest = `sha256:${hex}`;
      const record = isDigest(digest) ? parseStagedRecord(bytes, digest) : undefined;
      return record?.size === size && isDigest(digest) ? { ...record, digest } : undefined;
    });
    return { uploads, blobs, ...lost };
  }

  /** Creates the record of an upload, before the file of its bytes. It survives this process, not power loss. */
  async create(id: string, record: UploadRecord): Promise<void> {
    await this.make();
    const path = `${this.incomingPath(id)}${RECORD}`;
    await inSystem('begin an upload', async () => {
      try {
        await writeFile(path, formatUploadRecord(record), { flag: 'wx', mode: 0o600 });
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      }
    });
  }

  /** Removes the files of an upload. */
  async removeUpload(id: string): Promise<void> {
    await removeFiles([`${this.incomingPath(id)}${RECORD}`, this.incomingPath(id)]);
  }

  /** Moves the bytes of an upload, which are durable, to their digest; `writeBlob` makes the name durable. */
  async moveToStaged(id: string, digest: Digest): Promise<void> {
    await inSystem('stage an upload', () => rename(this.incomingPath(id), this.stagedPath(digest)));
  }

  /** Writes the record of a staged blob, after `bytes` if they are in no file. All is durable on return. */
  async writeBlob(digest: Digest, record: StagedRecord, bytes?: Uint8Array): Promise<void> {
    const path = this.stagedPath(digest);
    const described = { path: `${path}${RECORD}`, bytes: formatStagedRecord(record) };
    await this.make();
    await writeDurableFiles(bytes === undefined ? [described] : [{ path, bytes }, described]);
  }

  /** Removes files that count for nothing. */
  async removeLost({ strays, damaged }: Pick<Found, 'strays' | 'damaged'>): Promise<void> {
    const paths = [...strays, ...damaged.flatMap((path) => [`${path}${RECORD}`, path])];
    await inSystem('tidy uploads', async () => {
      for (const path of paths) await rm(path, { recursive: true, force: true });
    });
  }

  /** Removes the files of a staged blob, durable on return if `durably`. */
  async removeBlob(digest: Digest, { durably }: { readonly durably: boolean }): Promise<void> {
    await removeFiles([`${this.stagedPath(digest)}${RECORD}`, this.stagedPath(digest)]);
    if (durably) await inSystem('remove an upload', () => syncDirectory(this.#staged));
  }
}

/** Removes files in order; those that are gone do not count. */
async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await unless(['ENOENT'], 'remove an upload', () => unlink(path));
}

/** Files that count for nothing. */
interface Lost {
  readonly strays: string[];
  readonly damaged: string[];
  /** Whether a record without a file that cannot be read counts for nothing. */
  readonly isBegun?: boolean;
}

type ReadRecord<Record> = (name: string, bytes: Uint8Array, size: number, mtimeMs: number) => Record | undefined;

/** Reads what is described in a folder. An upload without a file has no bytes yet. */
function readRecords<Record>(
  folder: string,
  { strays, damaged, isBegun = false }: Lost,
  read: ReadRecord<Record>,
): Record[] {
  const names = new Set(namesInSync(folder));
  const found: Record[] = [];
  for (const name of names) {
    if (!name.endsWith(RECORD)) {
      if (!names.has(`${name}${RECORD}`)) strays.push(join(folder, name));
      continue;
    }
    const base = name.slice(0, -RECORD.length);
    const path = join(folder, base);
    const record = readRecord(path, read);
    if (record !== undefined) found.push(record);
    else if (isBegun && !names.has(base)) strays.push(`${path}${RECORD}`);
    else damaged.push(path);
  }
  return found;
}

function readRecord<Record>(path: string, read: ReadRecord<Record>): Record | undefined {
  try {
    const described = lstatSync(`${path}${RECORD}`);
    const file = lstatSync(path, { throwIfNoEntry: false });
    if (!described.isFile() || described.size > MAX_UPLOAD_RECORD_BYTES || file?.isFile() === false) return undefined;
    const bytes = readRegularFileSync(`${path}${RECORD}`) ?? new Uint8Array(0);
    return read(basename(path), bytes, file?.size ?? 0, (file ?? described).mtimeMs);
  } catch (error) {
    throw ioFailure(`read ${path}${RECORD}`, error);
  }
}

function namesInSync(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw ioFailure(`read ${folder}`, error);
  }
}
