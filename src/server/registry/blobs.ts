import { ofLength } from '../../model/bytes.js';
import { isDigest } from '../../model/digest.js';
import type { AppendOptions, ByteRange, RegistryBlob, Upload } from '../../store/registry-store.js';
import { bodyOf, isUnchanged, lent, streamed } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import { chunkRangeOf, digestIn, rangeOf, type RegistryExchange, repositoryOf } from './registry-request.js';
import { isStoreError } from '../../errors.js';

/** Answers a blob, or a part of it. */
export async function getBlob({ c, service, path, reads, isPast }: RegistryExchange): Promise<Response> {
  const { name, repository, rest } = path;
  const digest = digestIn(rest);
  const arriving = (): RegistryBlob | undefined =>
    !isPast && isDigest(digest) ? service.mirror?.blob(repository, digest) : undefined;
  const blob = reads.blob(repository, digest) ?? arriving();
  if (blob === undefined) throw unknownBlob(name, digest);
  const etag = `"${digest}"`;
  // Before the range (RFC 9110, 13.2.2).
  if (isUnchanged(c, etag)) {
    return new Response(null, { status: 304, headers: { 'docker-content-digest': digest, etag } });
  }
  const isHead = c.req.method === 'HEAD';
  const range = isHead ? undefined : rangeOf(c.req.header('range'), blob.size);
  const size = range === undefined ? blob.size : range.last - range.first + 1;
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(size),
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag,
    ...(range === undefined ? {} : { 'content-range': `bytes ${range.first}-${range.last}/${blob.size}` }),
  };
  if (isHead || size === 0) return new Response(null, { status: 200, headers });
  const { onFailure } = service;
  const sending = { status: range === undefined ? 200 : 206, headers, onFailure } as const;
  const { lend } = blob;
  const answer = lend && lent(c, sending, (nextBuffer) => lend(nextBuffer, range));
  return answer ?? streamed(c, sending, blob.read(range));
}

/** Removes a blob that no manifest names yet. */
export async function deleteBlob({
  service,
  path: { name, repository, rest },
  reads,
}: RegistryExchange): Promise<Response> {
  const digest = digestIn(rest);
  if (await service.store.registry.uploads.remove(repository, digest)) {
    return new Response(null, { status: 202, headers: { 'content-length': '0' } });
  }
  if (reads.blob(repository, digest) === undefined) throw unknownBlob(name, digest);
  throw new HttpFailure(405, 'UNSUPPORTED', `a manifest of ${name} names ${digest}: delete that`);
}

function unknownBlob(name: string, digest: string): HttpFailure {
  return new HttpFailure(404, 'BLOB_UNKNOWN', `${name} has no blob ${digest}`, { detail: { name, digest } });
}

/** Mounts a blob of another repository, takes a whole one, or begins an upload. */
export async function startUpload(exchange: RegistryExchange): Promise<Response> {
  const { c, service, path } = exchange;
  const { registry } = service.store;
  const { repository } = path;
  checkAlgorithm(c.req.query('digest-algorithm'));
  const mounted = c.req.query('mount');
  if (mounted !== undefined && (await mount(exchange, mounted))) return created(path.root, mounted);
  const upload = await registry.uploads.start(repository, ownerOf(exchange));
  const wanted = mounted === undefined ? c.req.query('digest') : undefined;
  if (wanted === undefined) return accepted(path.root, upload);
  try {
    await upload.append(bodyOf(c), 0, { isLast: true });
    const name = digestIn(wanted);
    await upload.finish(name);
    return created(path.root, name);
  } catch (error) {
    // Nobody knows of it.
    await upload.cancel();
    throw error;
  }
}

/** Answers how many bytes an upload has. */
export async function uploadStatus({ path, service }: RegistryExchange): Promise<Response> {
  const upload = await service.store.registry.uploads.upload(path.repository, path.rest);
  return new Response(null, { status: 204, headers: progressOf(path.root, upload) });
}

/** Appends a chunk, or all that the body has. */
export async function patchUpload(exchange: RegistryExchange): Promise<Response> {
  const { path, service } = exchange;
  const upload = await service.store.registry.uploads.upload(path.repository, path.rest);
  await append(exchange, upload);
  return accepted(path.root, upload);
}

/** Appends the rest, and makes the upload a blob of the repository. */
export async function finishUpload(exchange: RegistryExchange): Promise<Response> {
  const { c, path, service } = exchange;
  const upload = await service.store.registry.uploads.upload(path.repository, path.rest);
  const wanted = digestIn(c.req.query('digest'));
  await append(exchange, upload, { isLast: true });
  await upload.finish(wanted);
  return created(path.root, wanted);
}

/** Removes an upload. */
export async function cancelUpload({ path, service }: RegistryExchange): Promise<Response> {
  const upload = await service.store.registry.uploads.upload(path.repository, path.rest);
  await upload.cancel();
  return new Response(null, { status: 204 });
}

async function append({ c, path }: RegistryExchange, upload: Upload, options?: AppendOptions): Promise<void> {
  const range = chunkRangeOf(c.req.header('content-range'));
  const length = c.req.header('content-length');
  if (range !== undefined && length !== undefined && Number(length) !== range.last - range.first + 1) {
    throw new HttpFailure(400, 'SIZE_INVALID', `the chunk has ${length} bytes, and its range another number`);
  }
  // A body of chunks (RFC 9112, 7.1) does not say its length before.
  const isMeasured = range === undefined || length !== undefined;
  const body = isMeasured ? bodyOf(c) : measured(bodyOf(c), range);
  try {
    await upload.append(body, range?.first, options);
  } catch (error) {
    if (!isStoreError(error, 'UPLOAD_OUT_OF_ORDER')) throw error;
    throw new HttpFailure(416, 'BLOB_UPLOAD_INVALID', error.message, { headers: progressOf(path.root, upload) });
  }
}

/** Yields a body as long as its range. @throws {HttpFailure} SIZE_INVALID for a shorter or longer one */
function measured(body: AsyncIterable<Uint8Array>, { first, last }: ByteRange): AsyncIterable<Uint8Array> {
  const size = last - first + 1;
  return ofLength(
    body,
    size,
    (found) => new HttpFailure(400, 'SIZE_INVALID', `the chunk has ${found} bytes, and its range ${size}`),
  );
}

/** Whether the blob is in the repository now: it was in the one named, or in any if none is named. */
async function mount(exchange: RegistryExchange, mounted: string): Promise<boolean> {
  const { c, service, path } = exchange;
  const { registry } = service.store;
  const name = digestIn(mounted);
  const from = c.req.query('from');
  const { grant } = c.get('caller');
  const sources = from === undefined ? [path.repository, ...registry.repositoriesWith(name)] : [repositoryOf(from)];
  for (const source of sources) {
    const blob = grant.may('read', source) ? registry.blob(source, name) : undefined;
    if (blob === undefined) continue;
    await registry.uploads.mount(path.repository, blob.digest, ownerOf(exchange), name);
    return true;
  }
  return false;
}

/** Refuses an upload before its bytes come (OCI distribution spec, end-4c). */
function checkAlgorithm(algorithm: string | undefined): void {
  if (algorithm === undefined || algorithm === 'sha256' || algorithm === 'sha512') return;
  const shown = JSON.stringify(algorithm.slice(0, 100));
  throw new HttpFailure(400, 'UNSUPPORTED', `cannot use digests of ${shown}: they are sha256 or sha512 here`);
}

/** Whom an upload counts for: a Unix socket and a call of `fetch` have no address. */
function ownerOf({ c }: RegistryExchange): string {
  const { grant, address = '' } = c.get('caller');
  const owner = grant.actor ?? address;
  return owner === '' ? 'local' : owner;
}

function created(root: string, digest: string): Response {
  const headers = { location: `${root}/blobs/${digest}`, 'docker-content-digest': digest, 'content-length': '0' };
  return new Response(null, { status: 201, headers });
}

function accepted(root: string, upload: Upload): Response {
  return new Response(null, { status: 202, headers: { ...progressOf(root, upload), 'content-length': '0' } });
}

function progressOf(root: string, { id, size }: Upload): Record<string, string> {
  return {
    location: `${root}/blobs/uploads/${id}`,
    range: `0-${Math.max(size - 1, 0)}`,
    'docker-upload-uuid': id,
  };
}
