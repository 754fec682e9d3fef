import type { Place } from './case.js';
import { type Manifest, MEDIA } from './content.js';
import {
  demand,
  demandBody,
  demandDigest,
  demandHeaderIs,
  demandLocation,
  demandStatus,
  Unsupported,
} from './demands.js';
import type { Answer } from './registry-client.js';

/** What a client says that it takes. */
export const ACCEPT = { accept: [MEDIA.index, MEDIA.manifest] };

/** Returns the path of a manifest. */
export function manifestPath(repository: string, tagOrDigest: string): string {
  return `/v2/${repository}/manifests/${tagOrDigest}`;
}

/** How a manifest is put. */
export interface PutOptions {
  /** Tags that are set with it. */
  readonly tags?: readonly string[];
  readonly framing?: 'length' | 'chunked';
}

/** Puts a manifest, which must be accepted, told of by all headers, and readable where the answer says. */
export async function putManifest(
  { client, repository }: Place,
  tagOrDigest: string,
  manifest: Manifest,
  { tags = [], framing = 'length' }: PutOptions = {},
): Promise<void> {
  const query = tags.map((tag) => `tag=${encodeURIComponent(tag)}`).join('&');
  const answer = await client.ask(`${manifestPath(repository, tagOrDigest)}${query === '' ? '' : `?${query}`}`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    framing,
  });
  demandStatus(answer, 201);
  demandDigest(answer, manifest.digest, true);
  if (manifest.subject !== undefined) demandHeaderIs(answer, 'oci-subject', manifest.subject);
  const stored = await client.ask(demandLocation(answer), { headers: ACCEPT });
  demandManifest(stored, manifest);
  demandTags(answer, tags);
}

function demandTags(answer: Answer, tags: readonly string[]): void {
  const told = answer.values('oci-tag').flatMap((value) => value.split(',').map((tag) => tag.trim()));
  if (tags.length > 0 && told.length === 0) throw new Unsupported('no tags are set by parameters');
  for (const tag of tags) demand(told.includes(tag), `${answer.asked}: OCI-Tag has no ${tag}`);
}

/** Demands that a GET gave this manifest. */
export function demandManifest(answer: Answer, manifest: Manifest): void {
  demandManifestHead(answer, manifest);
  demandBody(answer, manifest.bytes);
}

/** Demands that a GET or HEAD gave the headers of this manifest. */
export function demandManifestHead(answer: Answer, { mediaType, bytes, digest }: Manifest): void {
  demandStatus(answer, 200);
  demandHeaderIs(answer, 'content-type', mediaType);
  demandHeaderIs(answer, 'content-length', String(bytes.length));
  demandDigest(answer, digest, true);
}

/** Deletes a tag or manifest, which is then gone. @throws {Unsupported} when the registry has no such delete */
export async function deleteManifest({ client, repository }: Place, tagOrDigest: string): Promise<void> {
  const path = manifestPath(repository, tagOrDigest);
  const head = { method: 'HEAD', headers: ACCEPT } as const;
  const before = await client.ask(path, head);
  const answer = await client.ask(path, { method: 'DELETE' });
  if (answer.status === 400 || answer.status === 405) throw new Unsupported(`DELETE: ${answer.status}`);
  // What was never pushed, or went with its digest, is not found.
  demandStatus(answer, before.status === 200 ? 202 : 404);
  demandStatus(await client.ask(path, head), 404);
}
