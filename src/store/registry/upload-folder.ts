import { lstatSync, readdirSync } from 'node:fs';
import { rename, rm, unlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MAX_UPLOAD_RECORD_BYTES } from '../../limits.js';
import {
  type ContentName,
  type Descriptor,
  type DiffId,
  type Digest,
  digestHex,
  isContentName,
  isDigest,
} from '../../model/digest.js';
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
import { type ErrorCode, errorKinds, StoreError } from '../../errors.js';
import type { Measurement } from '../../archive/layer-meter.js';

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

/** What the file beside the bytes of an upload in progress says. */
interface UploadRecord {
  readonly repository: string;
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly started: number;
}

/** A repository in which a blob is staged. */
interface StagedIn {
  readonly repository: string;
  readonly owner: string;
  /** Last use, milliseconds since the epoch. */
  readonly used: number;
}

/** What the file beside a staged blob says. */
interface StagedRecord {
  /** Bytes of the blob. */
  readonly size: number;
  /** Whether its bytes came by an upload; else they are another name of a blob of the store. */
  readonly isUploaded: boolean;
  readonly measurement: Measurement | undefined;
  /** Its SHA-512 digest, if a client named it so. */
  readonly alias?: ContentName | undefined;
  readonly repositories: readonly StagedIn[];
}

/** Formats a record as a line of JSON. */
export function formatUploadRecord({ repository, owner, started }: UploadRecord): Uint8Array {
  return lineOf({ repository, owner, started });
}

/** Returns undefined for what `formatUploadRecord` did not write. */
function parseUploadRecord(bytes: Uint8Array): UploadRecord | undefined {
  const { repository, owner, started } = fieldsOf(bytes);
  if (!isText(repository) || !isText(owner) || !isCount(started)) return undefined;
  return { repository, owner, started };
}

/** Formats a record as a line of JSON. */
export function formatStagedRecord({ size, isUploaded, measurement, alias, repositories }: StagedRecord): Uint8Array {
  const layer = measurement === undefined ? undefined : layerFields(measurement);
  const measured = measurement && {
    compression: measurement.compression,
    mediaType: measurement.blob.mediaType,
    layer,
  };
  const staged = repositories.map(({ repository, owner, used }) => ({ repository, owner, used }));
  return lineOf({ size, isUploaded, measurement: measured, alias, repositories: staged });
}

function layerFields({ layer }: Measurement): object {
  if (!(layer instanceof StoreError)) return { diffId: layer.diffId, diffSize: layer.diffSize };
  return { code: layer.code, message: layer.message, data: layer.data };
}

/** Returns undefined for what `formatStagedRecord` did not write. */
export function parseStagedRecord(bytes: Uint8Array, digest: Digest): StagedRecord | undefined {
  const { size, isUploaded, measurement, alias, repositories } = fieldsOf(bytes);
  if (!isCount(size) || typeof isUploaded !== 'boolean' || !Array.isArray(repositories)) return undefined;
  const staged = repositories.map(parseStagedIn).filter((each) => each !== undefined);
  const measured = measurement === undefined ? undefined : parseMeasurement(Object(measurement), digest, size);
  const isWhole = staged.length === repositories.length && (measured !== undefined || measurement === undefined);
  const name = typeof alias === 'string' && isContentName(alias) ? alias : undefined;
  return isWhole ? { size, isUploaded, measurement: measured, alias: name, repositories: staged } : undefined;
}

function parseStagedIn(value: unknown): StagedIn | undefined {
  const { repository, owner, used }: Fields = Object(value);
  return isText(repository) && isText(owner) && isCount(used) ? { repository, owner, used } : undefined;
}

function parseMeasurement(fields: Fields, digest: Digest, size: number): Measurement | undefined {
  const { compression, mediaType } = fields;
  const layer = parseLayer(Object(fields['layer']));
  if (!isCompression(compression) || typeof mediaType !== 'string' || layer === undefined) return undefined;
  const blob: Descriptor = { digest, size, mediaType };
  return { compression, blob, layer };
}

function parseLayer({ diffId, diffSize, code, message, data }: Fields): Measurement['layer'] | undefined {
  if (isText(diffId) && isDigest(diffId) && isCount(diffSize)) return { diffId: diffId as DiffId, diffSize };
  if (!isErrorCode(code) || typeof message !== 'string') return undefined;
  return new StoreError(code, message, { data: Object(data) as Fields });
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(bytes: Uint8Array): Fields {
  try {
    return Object(JSON.parse(new TextDecoder().decode(bytes))) as Fields;
  } catch {
    // The caller reports a record that is not whole.
    return {};
  }
}

function lineOf(fields: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(fields)}\n`);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorKinds, value);
}

const compressions: Readonly<Record<Measurement['compression'], true>> = {
  none: true,
  gzip: true,
  zstd: true,
  bzip2: true,
  xz: true,
};

function isCompression(value: unknown): value is Measurement['compression'] {
  return typeof value === 'string' && Object.hasOwn(compressions, value);
}
