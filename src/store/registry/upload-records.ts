import { type ErrorCode, errorKinds, StoreError } from '../../errors.js';
import type { Measurement } from '../../archive/layer-meter.js';
import {
  type Descriptor,
  type ContentName,
  type DiffId,
  type Digest,
  isContentName,
  isDigest,
} from '../../model/digest.js';

/** What the file beside the bytes of an upload in progress says. */
export interface UploadRecord {
  readonly repository: string;
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly started: number;
}

/** A repository in which a blob is staged. */
export interface StagedIn {
  readonly repository: string;
  readonly owner: string;
  /** Last use, milliseconds since the epoch. */
  readonly used: number;
}

/** What the file beside a staged blob says. */
export interface StagedRecord {
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
export function parseUploadRecord(bytes: Uint8Array): UploadRecord | undefined {
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
