import { bareType, OCI_INDEX } from '../../archive/documents.js';
import { MAX_PUSHED_MANIFEST_BYTES, MAX_TAGS_OF_PUSH } from '../../limits.js';
import { readBounded } from '../../model/bytes.js';
import { countBefore } from '../../model/collections.js';
import { isContentName } from '../../model/digest.js';
import { bodyOf, callerOrigin, isUnchanged } from '../exchange.js';
import { HttpFailure } from '../failure.js';
import { digestIn, isRepositoryName, type RegistryExchange, tagIn, tagOrDigestIn } from './registry-request.js';
import { familiarReference } from '../../model/reference.js';

/** Answers a manifest or index, byte for byte. */
export async function getManifest(exchange: RegistryExchange): Promise<Response> {
  const { c, service, path, reads, isPast } = exchange;
  const { name, repository, rest } = path;
  const reference = tagOrDigestIn(rest);
  const sighting = isPast ? undefined : await service.mirror?.look(repository, reference, callerOrigin(c, 'mirror'));
  const document = reads.manifest(repository, reference) ?? sighting?.document;
  if (document === undefined) throw unknownManifest(name, reference);
  const { descriptor, bytes } = document;
  const etag = `"${document.name}"`;
  const headers = {
    'content-type': descriptor.mediaType,
    'docker-content-digest': document.name,
    etag,
    ...(sighting?.warning === undefined ? {} : { warning: `199 - ${quoted(sighting.warning)}` }),
  };
  // A client that only looks pulls nothing.
  if (c.req.method === 'GET')
    service.store.registry.countPull(pulledAs(repository, isPast ? document.name : reference));
  if (isUnchanged(c, etag)) return new Response(null, { status: 304, headers });
  const body = c.req.method === 'HEAD' ? null : (bytes as Uint8Array<ArrayBuffer>);
  return new Response(body, { status: 200, headers: { ...headers, 'content-length': String(bytes.length) } });
}

/** What was of the past counts by its digest: the tag was not pulled. */
function pulledAs(repository: string, tagOrName: string): string {
  return `${repository}${isContentName(tagOrName) ? '@' : ':'}${tagOrName}`;
}

/** Pushes a manifest or index: everything that becomes of it is one transaction. */
export async function putManifest({ c, service, path }: RegistryExchange): Promise<Response> {
  const { name, repository, root, rest } = path;
  const reference = tagOrDigestIn(rest);
  const tags = [...(isContentName(reference) ? [] : [reference]), ...(c.req.queries('tag') ?? []).map(tagIn)];
  if (tags.length > MAX_TAGS_OF_PUSH) {
    throw new HttpFailure(400, 'MANIFEST_INVALID', `expected at most ${MAX_TAGS_OF_PUSH} tags, found ${tags.length}`);
  }
  const bytes = await readBody(bodyOf(c), name);
  const contentType = c.req.header('content-type');
  // Parameters are ignored (OCI distribution spec, "Pushing Manifests").
  const mediaType = contentType === undefined ? mediaTypeIn(bytes) : bareType(contentType);
  const wanted = isContentName(reference) ? reference : undefined;
  const request = { repository, mediaType, bytes, name: wanted, tags };
  const pushed = await service.store.registry.push(request, callerOrigin(c, 'registry'));
  const headers = new Headers({
    location: `${root}/manifests/${pushed.name}`,
    'docker-content-digest': pushed.name,
    'content-length': '0',
  });
  if (pushed.subject !== undefined) headers.set('oci-subject', pushed.subject);
  for (const tag of c.req.queries('tag') ?? []) headers.append('oci-tag', tag);
  for (const notice of pushed.notices.slice(0, 3)) headers.append('warning', `299 - ${quoted(notice)}`);
  return new Response(null, { status: 201, headers });
}

/** Removes a tag, or a manifest with its tags; the image stays in the store. */
export async function deleteManifest({ c, service, path: { repository, rest } }: RegistryExchange): Promise<Response> {
  await service.store.registry.remove(repository, tagOrDigestIn(rest), callerOrigin(c, 'registry'));
  return new Response(null, { status: 202, headers: { 'content-length': '0' } });
}

function unknownManifest(name: string, reference: string): HttpFailure {
  const detail = { name, reference };
  return new HttpFailure(404, 'MANIFEST_UNKNOWN', `${name} has no manifest ${reference}`, { detail });
}

async function readBody(body: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array> {
  const bytes = await readBounded(body, MAX_PUSHED_MANIFEST_BYTES);
  if (bytes !== undefined) return bytes;
  const limit = `at most ${MAX_PUSHED_MANIFEST_BYTES} bytes are allowed`;
  throw new HttpFailure(413, 'MANIFEST_INVALID', `the manifest for ${name} is too large: ${limit}`);
}

/** The media type of a manifest that was sent without one. */
function mediaTypeIn(bytes: Uint8Array): string {
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const { mediaType } = Object(document) as { mediaType?: unknown };
    return typeof mediaType === 'string' ? mediaType : '';
  } catch {
    // The push says what is wrong with it.
    return '';
  }
}

/** A text of a header: printable ASCII in quotes (RFC 9110, 5.6.4). */
function quoted(text: string): string {
  return `"${text.replace(/[^ -~]/g, '?').replace(/["\\]/g, "'")}"`;
}

/** Answers the tags of a repository, or a page of them. */
export function getTags({ c, path: { name, repository, root }, reads }: RegistryExchange): Response {
  const tags = reads.tags(repository);
  if (tags === undefined)
    throw new HttpFailure(404, 'NAME_UNKNOWN', `there is no repository ${name}`, { detail: { name } });
  const { page, headers } = pageOf(tags, c.req.query('n'), c.req.query('last'), `${root}/tags/list`);
  return Response.json({ name, tags: page }, { headers });
}

/**
 * Answers the repositories that a client can name, or a page of them (not in the spec; Docker's
 * registry has it).
 */
export function getCatalog({ c, reads }: RegistryExchange): Response {
  const { grant } = c.get('caller');
  const names = reads
    .repositories()
    .filter((repository) => grant.may('read', repository))
    .map(familiarReference)
    .filter(isRepositoryName)
    .sort();
  const { page, headers } = pageOf(names, c.req.query('n'), c.req.query('last'), '/v2/_catalog');
  return Response.json({ repositories: page }, { headers });
}

/** Answers what is about a digest, as an index. */
export function getReferrers({ c, path: { repository, rest }, reads }: RegistryExchange): Response {
  const wanted = c.req.query('artifactType');
  const all = reads.referrers(repository, digestIn(rest));
  const manifests = all
    .filter(({ artifactType }) => wanted === undefined || artifactType === wanted)
    .map(({ mediaType, digest, size, artifactType, annotations = {} }) => ({
      mediaType,
      digest,
      size,
      ...(artifactType === '' ? {} : { artifactType }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    }));
  const headers = {
    'content-type': OCI_INDEX,
    ...(wanted === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
  };
  return new Response(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }), { headers });
}

/** Entries after `last`, at most `n`, and where the next ones are. */
function pageOf(
  all: readonly string[],
  n: string | undefined,
  last: string | undefined,
  path: string,
): { readonly page: readonly string[]; readonly headers: Readonly<Record<string, string>> } {
  if (n !== undefined && !/^\d{1,9}$/.test(n)) {
    throw new HttpFailure(400, 'UNSUPPORTED', `n must be a whole number: ${JSON.stringify(n.slice(0, 20))}`);
  }
  const start = last === undefined ? 0 : countBefore(all.length, (place) => (all[place] ?? '') <= last);
  const page = all.slice(start, n === undefined ? undefined : start + Number(n));
  const end = page.at(-1);
  if (start + page.length === all.length || end === undefined) return { page, headers: {} };
  const next = `${path}?last=${encodeURIComponent(end)}&n=${n}`;
  return { page, headers: { link: `<${next}>; rel="next"` } };
}
