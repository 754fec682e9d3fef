import { isDigest } from '../../model/digest.js';
import type { RegistryBlob } from '../../store/registry-store.js';
import { isUnchanged, lent, streamed } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import { digestIn, rangeOf, type RegistryExchange } from './registry-request.js';

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
