import { OCI_INDEX } from '../../archive/documents.js';
import { familiarReference } from '../../model/reference.js';
import { HttpFailure } from '../failure.js';
import { digestIn, isRepositoryName, type RegistryExchange } from './registry-request.js';

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
  const start = last === undefined ? 0 : after(all, last);
  const page = all.slice(start, n === undefined ? undefined : start + Number(n));
  const end = page.at(-1);
  if (start + page.length === all.length || end === undefined) return { page, headers: {} };
  const next = `${path}?last=${encodeURIComponent(end)}&n=${n}`;
  return { page, headers: { link: `<${next}>; rel="next"` } };
}

/** Where in sorted texts those after `last` begin. */
function after(sorted: readonly string[], last: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') > last) high = middle;
    else low = middle + 1;
  }
  return low;
}
