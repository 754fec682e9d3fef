import { type Case, type CaseOptions, Group } from './case.js';
import { configPart, manifestOf, randomBlob } from './content.js';
import { demandError, demandStatus } from './demands.js';
import { ACCEPT, manifestPath } from './manifest-requests.js';
import { beginUpload, blobPath, uploadsPath } from './uploads.js';

/** How a registry says that it takes no sha512. */
const CODES = ['UNSUPPORTED', 'DIGEST_INVALID'];

/** What a registry without sha512 must do with such digests: refuse them, and store nothing. */
export function refusedSha512Cases({ repository }: CaseOptions): readonly Case[] {
  const group = new Group('sha512 is refused');
  const blob = randomBlob(512, 'sha512');
  const manifest = manifestOf(configPart([], { algorithm: 'sha512' }), [], {}, 'sha512');
  group.add('Pushing blobs', 'PUT of a blob: 400', async (client) => {
    const { url } = await beginUpload({ client, repository });
    url.searchParams.set('digest', blob.digest);
    const answer = await client.ask(url, { method: 'PUT', body: blob.bytes });
    demandStatus(answer, 400);
    demandError(answer, ...CODES);
  });
  for (const query of [{ digest: blob.digest }, { 'digest-algorithm': 'sha512' }]) {
    group.add('Pushing blobs', `POST with ${Object.keys(query)}: 400`, async (client) => {
      const answer = await client.ask(uploadsPath(repository, query), { method: 'POST', body: blob.bytes });
      demandStatus(answer, 400);
      demandError(answer, ...CODES);
    });
  }
  group.add('Pushing Manifests', 'PUT of a manifest: 400', async (client) => {
    const path = manifestPath(repository, manifest.digest);
    const headers = { 'content-type': manifest.mediaType };
    const answer = await client.ask(path, { method: 'PUT', headers, body: manifest.bytes });
    demandStatus(answer, 400);
    demandError(answer, ...CODES);
  });
  for (const path of [blobPath(repository, blob.digest), manifestPath(repository, manifest.digest)]) {
    for (const method of ['GET', 'HEAD'] as const) {
      group.add('Pulling blobs', `${method} of /${path.split('/').at(-2)}/: 404 or 400`, async (client) =>
        demandStatus(await client.ask(path, { method, headers: ACCEPT }), 404, 400),
      );
    }
  }
  return group.cases;
}
