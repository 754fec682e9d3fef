import type { Context } from 'hono';
import { StoreError } from '../../errors.js';
import { MAX_REFERENCE_NAME_LENGTH, MAX_TAG_LENGTH } from '../../limits.js';
import { type ContentName, isContentName } from '../../model/digest.js';
import { formatReference, parseReference } from '../../model/reference.js';
import type { When } from '../../store/past/audit.js';
import type { ByteRange, RegistryReads } from '../../store/registry-store.js';
import type { ServerEnv } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import type { Service } from '../service.js';

/** A request to the registry. */
export interface RegistryExchange {
  readonly c: Context<ServerEnv>;
  readonly service: Service;
  readonly path: RegistryPath;
  /** The repositories of the moment that the path names. */
  readonly reads: RegistryReads;
  /** Whether that moment is over: there is no upstream, and nothing changes. */
  readonly isPast: boolean;
}

/** What a path below `/v2/` names (OCI distribution spec, "Endpoints"). */
export type Endpoint = 'catalog' | 'tags' | 'manifest' | 'blob' | 'uploads' | 'upload' | 'referrers';

/** A path below `/v2/`. */
export interface RegistryPath {
  readonly endpoint: Endpoint;
  /** Name of the repository as it was sent, without the moment: for `Location`. */
  readonly name: string;
  /** The same as canonical name of the store. */
  readonly repository: string;
  /** Moment of a path below `at/WHEN/`; undefined for the present. */
  readonly at: When | undefined;
  /** Path of the repository, with its moment, without a slash at its end. */
  readonly root: string;
  /** Tag, digest or id of an upload. */
  readonly rest: string;
}

const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const NAME = new RegExp(`^${PART}(?:/${PART})*$`);
const PAST = /^at\/([^/]+)\/(.+)$/;
const TAG = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,${MAX_TAG_LENGTH - 1}}$`);
const ENDPOINTS: readonly (readonly [Endpoint, RegExp])[] = [
  ['tags', /^(.+)\/tags\/list$/],
  ['uploads', /^(.+)\/blobs\/uploads\/?$/],
  ['upload', /^(.+)\/blobs\/uploads\/([^/]+)$/],
  ['blob', /^(.+)\/blobs\/([^/]+)$/],
  ['manifest', /^(.+)\/manifests\/([^/]+)$/],
  ['referrers', /^(.+)\/referrers\/([^/]+)$/],
];

/**
 * Returns what a path below `/v2/` names; undefined for none.
 * @throws {HttpFailure} NAME_INVALID
 */
export function parsePath(pathname: string): RegistryPath | undefined {
  // Some clients send the colon of a digest as %3A; a name has nothing else to escape.
  const path = pathname.replace(/%3a/gi, ':');
  if (path === '_catalog') return { endpoint: 'catalog', name: '', repository: '', at: undefined, root: '', rest: '' };
  for (const [endpoint, form] of ENDPOINTS) {
    const [, whole, rest = ''] = form.exec(path) ?? [];
    if (whole === undefined) continue;
    const [, moment, inside] = PAST.exec(whole) ?? [];
    const name = inside ?? whole;
    const at = moment === undefined ? undefined : whenOf(moment);
    return { endpoint, name, repository: repositoryOf(name), at, root: `/v2/${whole}`, rest };
  }
  return undefined;
}

/**
 * Returns the canonical name of the repository that a registry calls `name`.
 * @throws {HttpFailure} NAME_INVALID
 */
export function repositoryOf(name: string): string {
  if (!isRepositoryName(name)) throw invalidName(name);
  try {
    const { domain, path } = parseReference(name);
    return formatReference({ domain, path });
  } catch (error) {
    if (error instanceof StoreError) throw invalidName(name);
    throw error;
  }
}

/** Whether a path can name it (OCI distribution spec, "Pulling manifests"): no port, no upper case. */
export function isRepositoryName(name: string): boolean {
  return name.length <= MAX_REFERENCE_NAME_LENGTH && NAME.test(name);
}

function invalidName(name: string): HttpFailure {
  return new HttpFailure(400, 'NAME_INVALID', `${JSON.stringify(name.slice(0, 100))} is not the name of a repository`);
}

/**
 * Returns the moment that a part of a path means. A path has no colon, space or, for Docker, upper
 * case: `2026-11-24t09.00z` is 09:00 UTC, `last-tuesday` two words; digits alone are a seq.
 */
function whenOf(part: string): When {
  if (/^\d{1,15}$/.test(part)) return Number(part);
  if (/^\d{4}-\d{2}-\d{2}/.test(part)) return part.toUpperCase().replace(/(?<=T.*)\./g, ':');
  return part.replaceAll('-', ' ').replaceAll('.', ':');
}

/** @throws {HttpFailure} DIGEST_INVALID; UNSUPPORTED for an algorithm that the registry does not have */
export function digestIn(text: string | undefined): ContentName {
  if (text !== undefined && isContentName(text)) return text;
  const shown = JSON.stringify((text ?? '').slice(0, 100));
  if (text !== undefined && /^(?!sha256:|sha512:)[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/.test(text)) {
    throw new HttpFailure(400, 'UNSUPPORTED', `cannot use ${shown}: expected sha256 or sha512`);
  }
  throw new HttpFailure(
    400,
    'DIGEST_INVALID',
    `${shown} is not a digest: expected sha256: or sha512: and its hex digits`,
  );
}

/** Returns the tag, or the digest, of a manifest's path. @throws {HttpFailure} as `digestIn`; MANIFEST_INVALID */
export function tagOrDigestIn(text: string): string {
  if (text.includes(':')) return digestIn(text);
  return tagIn(text);
}

/** @throws {HttpFailure} MANIFEST_INVALID */
export function tagIn(text: string): string {
  if (TAG.test(text)) return text;
  throw new HttpFailure(400, 'MANIFEST_INVALID', `${JSON.stringify(text.slice(0, 100))} is not a tag`);
}

/**
 * Returns the part of a blob that `Range` asks for (RFC 9110, 14.2); undefined for the whole, also
 * if it asks for several parts.
 * @throws {HttpFailure} RANGE_INVALID for one that begins behind the end, or ends before it begins
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const range =
    first === ''
      ? { first: Math.max(size - Number(last), 0), last: size - 1 }
      : { first: Number(first), last: Math.min(last === '' ? size - 1 : Number(last), size - 1) };
  const isBackward = first !== '' && last !== '' && Number(last) < Number(first);
  if (!isBackward && range.first < size && range.first <= range.last) return range;
  throw new HttpFailure(416, 'RANGE_INVALID', `the blob has ${size} bytes: ${header?.slice(0, 100)} is no part of it`, {
    headers: { 'content-range': `bytes */${size}` },
  });
}

/**
 * Returns where the bytes of a chunk begin and end, by its `Content-Range` (OCI distribution spec,
 * "Pushing a blob in chunks": without a unit); undefined without one.
 * @throws {HttpFailure} BLOB_UPLOAD_INVALID
 */
export function chunkRangeOf(header: string | undefined): ByteRange | undefined {
  if (header === undefined) return undefined;
  const [, first, last] = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim()) ?? [];
  if (first !== undefined && last !== undefined && Number(first) <= Number(last)) {
    return { first: Number(first), last: Number(last) };
  }
  throw new HttpFailure(416, 'BLOB_UPLOAD_INVALID', `${JSON.stringify(header.slice(0, 100))} is not a range of bytes`);
}
