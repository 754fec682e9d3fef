import type { Place } from './case.js';
import { type Blob, MEDIA } from './content.js';
import {
  demand,
  demandBody,
  demandDigest,
  demandHeader,
  demandLocation,
  demandStatus,
  Unsupported,
} from './demands.js';
import type { Answer } from './registry-client.js';

/** How a push must end: the blob is stored, or the digest is refused. */
export type Ending = 'stored' | 'refused';

/** Pushes one blob. */
export type Upload = (place: Place, blob: Blob, ending?: Ending) => Promise<void>;

/** A chunk is at least so long, unless the registry wants more. */
const LEAST_CHUNK = 1024;

/** Where the next request of an upload goes, and how long its chunks are at least. */
interface Session {
  readonly url: URL;
  readonly leastChunk: number;
}

/** Returns the path of the uploads of a repository. */
export function uploadsPath(repository: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `/v2/${repository}/blobs/uploads/${search === '' ? '' : `?${search}`}`;
}

/** Returns the path of a blob. */
export function blobPath(repository: string, digest: string): string {
  return `/v2/${repository}/blobs/${digest}`;
}

/** Begins an upload. */
export async function beginUpload({ client, repository }: Place): Promise<Session> {
  return sessionOf(await client.ask(uploadsPath(repository), { method: 'POST' }));
}

function sessionOf(answer: Answer): Session {
  demandStatus(answer, 202);
  return { url: demandLocation(answer), leastChunk: Number(answer.value('oci-chunk-min-length') ?? LEAST_CHUNK) };
}

/** A POST that begins and a PUT of everything. */
export const uploadByPut: Upload = async (place, blob, ending = 'stored') => {
  const session = await beginUpload(place);
  await putRest(place, session.url, blob, ending, { body: blob.bytes });
};

/** The same, where nobody tells the length of the body. */
export const uploadByChunkedPut: Upload = async (place, blob, ending = 'stored') => {
  const session = await beginUpload(place);
  await putRest(place, session.url, blob, ending, { body: blob.bytes, framing: 'chunked' });
};

/** One POST that carries everything. */
export const uploadByPost: Upload = async (place, blob, ending = 'stored') => {
  const answer = await place.client.ask(uploadsPath(place.repository, { digest: blob.digest }), {
    method: 'POST',
    headers: { 'content-type': MEDIA.bytes },
    body: blob.bytes,
    framing: blob.bytes.length === 0 ? 'chunked' : 'length',
  });
  if (answer.status !== 202) return demandEnding(place, answer, blob, ending);
  await putRest(place, demandLocation(answer), blob, ending, { body: blob.bytes });
  throw new Unsupported('a POST with content begins an upload only');
};

/** A PATCH of everything whose length nobody tells, closed by a PUT. */
export const uploadByStream: Upload = async (place, blob, ending = 'stored') => {
  const session = await beginUpload(place);
  const patched = await place.client.ask(session.url, {
    method: 'PATCH',
    headers: { 'content-type': MEDIA.bytes },
    body: blob.bytes,
    framing: 'chunked',
  });
  demandStatus(patched, 202);
  await putRest(place, demandLocation(patched), blob, ending);
};

/** How an upload in chunks goes. */
export interface ChunkedWay {
  /** Whether the closing PUT carries the last chunk. */
  readonly lastInPut: boolean;
  /** Whether each chunk is tried at a wrong place first. */
  readonly outOfOrder: boolean;
}

/** Uploads in chunks: three, for a blob of at least two chunks and some bytes. */
export function uploadByChunks({ lastInPut, outOfOrder }: ChunkedWay): Upload {
  return async (place, blob, ending = 'stored') => {
    let { url, leastChunk } = await beginUpload(place);
    const { length } = blob.bytes;
    const size = Math.max(Math.floor(length / 3) + 1, leastChunk);
    for (let at = 0; at < length; at += size) {
      const end = Math.min(at + size, length);
      if (outOfOrder) url = await tryOutOfOrder(place, url, blob, { at, size, lastInPut });
      if (lastInPut && end === length) return putRest(place, url, blob, ending, chunkOf(blob, at, end));
      const answer = await place.client.ask(url, { method: 'PATCH', ...chunkOf(blob, at, end) });
      demandStatus(answer, 202);
      url = demandLocation(answer);
    }
    await putRest(place, url, blob, ending);
  };
}

interface Attempt {
  /** Where the next chunk belongs. */
  readonly at: number;
  readonly size: number;
  readonly lastInPut: boolean;
}

/** Sends a chunk from further on, or from the beginning; returns where the upload continues. */
async function tryOutOfOrder(place: Place, url: URL, blob: Blob, { at, size, lastInPut }: Attempt): Promise<URL> {
  const { length } = blob.bytes;
  const start = at + size < length ? at + size : 0;
  const end = Math.min(start + size, length);
  const isClosing = lastInPut && end === length;
  const target = isClosing ? withDigest(url, blob.digest) : url;
  const refused = await place.client.ask(target, {
    method: isClosing ? 'PUT' : 'PATCH',
    ...chunkOf(blob, start, end),
  });
  demandStatus(refused, 416);
  const status = await place.client.ask(target);
  demandStatus(status, 204);
  const range = demandHeader(status, 'range');
  demand(/^0--?\d+$/.test(range), `${status.asked}: Range is ${range}`);
  if (at > 0) demand(range === `0-${at - 1}`, `${status.asked}: Range is ${range}, not 0-${at - 1}`);
  return demandLocation(status);
}

function chunkOf({ bytes }: Blob, start: number, end: number) {
  const headers = { 'content-type': MEDIA.bytes, 'content-range': `${start}-${end - 1}` };
  return { headers, body: bytes.subarray(start, end) };
}

/** The last request of an upload. */
interface Rest {
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly framing?: 'length' | 'chunked';
}

async function putRest(place: Place, url: URL, blob: Blob, ending: Ending, rest: Rest = {}): Promise<void> {
  const headers = { 'content-type': MEDIA.bytes, ...rest.headers };
  const answer = await place.client.ask(withDigest(url, blob.digest), { method: 'PUT', ...rest, headers });
  await demandEnding(place, answer, blob, ending);
}

/** The registry's own query stays. */
function withDigest(url: URL, digest: string): URL {
  const target = new URL(url);
  target.searchParams.set('digest', digest);
  return target;
}

async function demandEnding({ client }: Place, answer: Answer, blob: Blob, ending: Ending): Promise<void> {
  if (ending === 'refused') return demandStatus(answer, 400);
  demandStatus(answer, 201);
  demandDigest(answer, blob.digest, true);
  const stored = await client.ask(demandLocation(answer));
  demandStatus(stored, 200);
  demandBody(stored, blob.bytes);
}

/** Mounts a blob of another repository, or of any. @throws {Unsupported} after an upload in its stead */
export async function mountBlob(place: Place, blob: Blob, from?: string): Promise<void> {
  const query = { mount: blob.digest, ...(from === undefined ? {} : { from }) };
  const answer = await place.client.ask(uploadsPath(place.repository, query), { method: 'POST' });
  if (answer.status !== 202) return demandEnding(place, answer, blob, 'stored');
  await putRest(place, demandLocation(answer), blob, 'stored', { body: blob.bytes });
  throw new Unsupported('a mount begins an upload');
}

/** Asks to mount a blob that is not there: that begins an upload. */
export async function mountMissing(place: Place, blob: Blob, from: string): Promise<void> {
  const answer = await place.client.ask(uploadsPath(place.repository, { mount: blob.digest, from }), {
    method: 'POST',
  });
  demandStatus(answer, 202);
  await putRest(place, demandLocation(answer), blob, 'stored', { body: blob.bytes });
}
