import { type Case, type CaseOptions, Group, type Place } from './case.js';
import { randomBlob } from './content.js';
import { demand, demandBody, demandError, demandHeaderIs, demandLocation, demandStatus } from './demands.js';
import type { Answer, RegistryClient } from './registry-client.js';
import { beginUpload, blobPath, uploadsPath } from './uploads.js';

const SECTION = 'Pushing a blob in chunks';

/** Uploads that continue, are looked at, go wrong, and end. */
export function sessionCases({ repository, other }: CaseOptions): readonly Case[] {
  const group = new Group('uploads');
  const at = (client: RegistryClient): Place => ({ client, repository });
  addProgress(group, at);
  addWrongChunks(group, at);
  addWrongEnds(group, at);
  group.addFromText(SECTION, 'an upload belongs to its repository: elsewhere 404', async (client) => {
    const { url } = await beginUpload(at(client));
    const elsewhere = new URL(url.href.replace(`/v2/${repository}/`, `/v2/${other}/`));
    demand(elsewhere.href !== url.href, `${url.href} does not name the repository`);
    demandStatus(await client.ask(elsewhere), 404);
  });
  return group.cases;
}

type PlaceOf = (client: RegistryClient) => Place;

function patch(client: RegistryClient, url: URL, bytes: Uint8Array, contentRange?: string): Promise<Answer> {
  const headers = contentRange === undefined ? {} : { 'content-range': contentRange };
  return client.ask(url, { method: 'PATCH', headers, body: bytes });
}

function addProgress(group: Group, at: PlaceOf): void {
  group.addFromText(SECTION, 'each PATCH tells how far the upload is, and so does GET', async (client) => {
    const { bytes, digest } = randomBlob(3000);
    let { url } = await beginUpload(at(client));
    for (const end of [1000, 2000, 3000]) {
      const answer = await patch(client, url, bytes.subarray(end - 1000, end), `${end - 1000}-${end - 1}`);
      demandStatus(answer, 202);
      demandHeaderIs(answer, 'range', `0-${end - 1}`);
      const status = await client.ask(demandLocation(answer));
      demandStatus(status, 204);
      demandHeaderIs(status, 'range', `0-${end - 1}`);
      url = demandLocation(status);
    }
    url.searchParams.set('digest', digest);
    demandStatus(await client.ask(url, { method: 'PUT' }), 201);
    demandStatus(await client.ask(url), 404);
  });
  group.addFromText(SECTION, 'chunks without Content-Range go to the end', async (client) => {
    const { bytes, digest } = randomBlob(2500);
    let { url } = await beginUpload(at(client));
    for (const [start, end] of [
      [0, 1100],
      [1100, 2500],
    ] as const) {
      const answer = await patch(client, url, bytes.subarray(start, end));
      demandStatus(answer, 202);
      url = demandLocation(answer);
    }
    url.searchParams.set('digest', digest);
    demandStatus(await client.ask(url, { method: 'PUT' }), 201);
    demandBody(await client.ask(blobPath(at(client).repository, digest)), bytes);
  });
  group.addFromText('POST then PUT', 'each upload has its own URL', async (client) => {
    const urls = [await beginUpload(at(client)), await beginUpload(at(client))].map(({ url }) => url.pathname);
    demand(urls[0] !== urls[1], `two uploads at ${urls[0]}`);
  });
}

function addWrongChunks(group: Group, at: PlaceOf): void {
  const wrong: readonly (readonly [name: string, contentRange: string])[] = [
    ['beyond the end', '2000-2999'],
    ['one byte too far', '1001-2000'],
    ['one byte too early', '999-1998'],
    ['at the beginning', '0-999'],
    ['of another length', '1000-1500'],
    ['that ends before it starts', '1000-999'],
    ['that is no range', 'abc'],
    ['with a unit', 'bytes 0-999/2000'],
  ];
  for (const [name, contentRange] of wrong) {
    group.addFromText(SECTION, `a second chunk ${name}: 416 or 400, and the first stays`, async (client) => {
      const { bytes, digest } = randomBlob(2000);
      const { url } = await beginUpload(at(client));
      const first = await patch(client, url, bytes.subarray(0, 1000), '0-999');
      demandStatus(first, 202);
      demandStatus(await patch(client, demandLocation(first), bytes.subarray(1000), contentRange), 416, 400);
      const status = await client.ask(demandLocation(first));
      demandStatus(status, 204);
      demandHeaderIs(status, 'range', '0-999');
      const closing = demandLocation(await patch(client, demandLocation(status), bytes.subarray(1000), '1000-1999'));
      closing.searchParams.set('digest', digest);
      demandStatus(await client.ask(closing, { method: 'PUT' }), 201);
      demandBody(await client.ask(blobPath(at(client).repository, digest)), bytes);
    });
  }
}

function addWrongEnds(group: Group, at: PlaceOf): void {
  const digests = {
    'no digest': undefined,
    'a digest of no form': 'sha256:abc',
    'a digest of no algorithm': 'nothing',
  };
  for (const [name, digest] of Object.entries(digests)) {
    group.addFromText('Pushing blobs', `PUT with ${name}: 400 DIGEST_INVALID`, async (client) => {
      const { url } = await beginUpload(at(client));
      if (digest !== undefined) url.searchParams.set('digest', digest);
      const answer = await client.ask(url, { method: 'PUT', body: randomBlob(100).bytes });
      demandStatus(answer, 400);
      demandError(answer, 'DIGEST_INVALID');
    });
  }
  group.addFromText('Pushing blobs', 'PUT of other bytes than the digest tells: 400 DIGEST_INVALID', async (client) => {
    const { url } = await beginUpload(at(client));
    url.searchParams.set('digest', randomBlob(100).digest);
    const answer = await client.ask(url, { method: 'PUT', body: randomBlob(100).bytes });
    demandStatus(answer, 400);
    demandError(answer, 'DIGEST_INVALID');
  });
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE'] as const) {
    group.addFromText('Endpoints', `${method} of an upload that never was: 404`, async (client) => {
      const id = '01234567-89ab-4def-8123-456789abcdef';
      const query = method === 'PUT' ? `?digest=${randomBlob(1).digest}` : '';
      const answer = await client.ask(`${uploadsPath(at(client).repository)}${id}${query}`, { method });
      demandStatus(answer, 404);
      demandError(answer, 'BLOB_UPLOAD_UNKNOWN');
    });
  }
}
