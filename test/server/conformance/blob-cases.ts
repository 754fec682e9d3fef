import { type Case, type CaseOptions, Group, needsOf, type Capability, type Place } from './case.js';
import { type Algorithm, type Blob, blobOf, mislabelled, randomBlob } from './content.js';
import { demandBody, demandDigest, demandHeaderIs, demandStatus, Unsupported } from './demands.js';
import type { RegistryClient } from './registry-client.js';
import {
  beginUpload,
  blobPath,
  mountBlob,
  mountMissing,
  type Upload,
  uploadByChunkedPut,
  uploadByChunks,
  uploadByPost,
  uploadByPut,
  uploadByStream,
} from './uploads.js';

/** A blob of three chunks, the last of them shorter. */
const THREE_CHUNKS = 3 * 1024 - 5;

const WAYS: readonly (readonly [section: string, name: string, size: number, upload: Upload, needs?: Capability])[] = [
  ['Single POST', 'one POST', 512, uploadByPost, 'single-post'],
  ['POST then PUT', 'POST and PUT', 512, uploadByPut],
  ['POST then PUT', 'POST and PUT of unknown length', 512, uploadByChunkedPut],
  ['Pushing a blob in chunks', 'one chunk', 512, uploadByChunks({ lastInPut: false, outOfOrder: false })],
  ['Pushing a blob in chunks', 'a stream in one PATCH', 512, uploadByStream],
  ['Pushing a blob in chunks', 'chunks', THREE_CHUNKS, uploadByChunks({ lastInPut: false, outOfOrder: false })],
  [
    'Pushing a blob in chunks',
    'chunks, the last in the PUT',
    THREE_CHUNKS,
    uploadByChunks({ lastInPut: true, outOfOrder: false }),
  ],
  [
    'Pushing a blob in chunks',
    'chunks that are refused out of order first',
    THREE_CHUNKS,
    uploadByChunks({ lastInPut: false, outOfOrder: true }),
  ],
  [
    'Pushing a blob in chunks',
    'chunks that are refused out of order first, the last in the PUT',
    THREE_CHUNKS,
    uploadByChunks({ lastInPut: true, outOfOrder: true }),
  ],
];

/** Every way to push, read and delete a blob. */
export function blobCases({ repository, other }: CaseOptions, algorithm: Algorithm): readonly Case[] {
  const group = new Group(`blobs, ${algorithm}`, needsOf(algorithm));
  const missing = randomBlob(512, algorithm);
  for (const method of ['GET', 'HEAD'] as const) {
    group.add('Pulling blobs', `${method} of a blob that was never pushed: 404`, async (client) => {
      demandStatus(await client.ask(blobPath(repository, missing.digest), { method }), 404);
    });
  }
  for (const [section, name, size, upload, needs] of WAYS) {
    const blob = randomBlob(size, algorithm);
    const needed = needs === undefined ? [] : [needs];
    group.add(section, `push by ${name}`, (client) => upload({ client, repository }, blob), needed);
    addLifeOf(group, repository, blob, name);
  }
  addMounts(group, repository, other, algorithm);
  addCancel(group, repository, algorithm);
  for (const [name, text] of Object.entries({ 'the empty blob': '', 'the blob {}': '{}' })) {
    const blob = blobOf(Buffer.from(text), algorithm);
    for (const [, way, , upload] of WAYS.filter(([, , size]) => size < THREE_CHUNKS)) {
      if (upload === uploadByPost && text === '') continue;
      group.add('Pushing blobs', `push ${name} by ${way}`, (client) => upload({ client, repository }, blob), [
        ...(upload === uploadByPost ? (['single-post'] as const) : []),
      ]);
    }
    addLifeOf(group, repository, blob, name);
  }
  addRefusals(group, repository, algorithm);
  return group.cases;
}

/** What holds of a blob from its push on. */
function addLifeOf(group: Group, repository: string, blob: Blob, name: string): void {
  group.add('Checking if content exists in the registry', `HEAD after ${name}: 200, size, digest`, (client) =>
    demandBlobHead({ client, repository }, blob),
  );
  group.add('Pulling blobs', `GET after ${name}: 200, the bytes, digest`, (client) =>
    demandBlob({ client, repository }, blob),
  );
  addDeleteOf(group, repository, blob, name);
}

function addDeleteOf(group: Group, repository: string, blob: Blob, name: string): void {
  group.add(
    'Deleting Blobs',
    `DELETE after ${name}: 202, then HEAD: 404`,
    (client) => deleteBlob({ client, repository }, blob.digest),
    ['blob-delete'],
  );
}

/** HEAD tells size and digest, and nothing else. */
export async function demandBlobHead({ client, repository }: Place, { digest, bytes }: Blob): Promise<void> {
  const answer = await client.ask(blobPath(repository, digest), { method: 'HEAD' });
  demandStatus(answer, 200);
  demandHeaderIs(answer, 'content-length', String(bytes.length));
  demandDigest(answer, digest, true);
  demandBody(answer, Buffer.alloc(0));
}

/** GET gives the bytes, and their size and digest. */
export async function demandBlob({ client, repository }: Place, { digest, bytes }: Blob): Promise<void> {
  const answer = await client.ask(blobPath(repository, digest));
  demandStatus(answer, 200);
  demandHeaderIs(answer, 'content-length', String(bytes.length));
  demandDigest(answer, digest, true);
  demandBody(answer, bytes);
}

/** Deletes a blob, which is then gone. It may have been gone before. */
export async function deleteBlob({ client, repository }: Place, digest: string): Promise<void> {
  const path = blobPath(repository, digest);
  const before = await client.ask(path, { method: 'HEAD' });
  const answer = await client.ask(path, { method: 'DELETE' });
  if (answer.status === 400 || answer.status === 405) throw new Unsupported(`DELETE: ${answer.status}`);
  demandStatus(answer, before.status === 200 ? 202 : 404);
  demandStatus(await client.ask(path, { method: 'HEAD' }), 404);
}

function addMounts(group: Group, repository: string, other: string, algorithm: Algorithm): void {
  const section = 'Mounting a blob from another repository';
  const add = (name: string, needs: Capability, from: string | undefined): void => {
    const blob = randomBlob(512, algorithm);
    group.add(
      section,
      name,
      async (client) => {
        await uploadByPut({ client, repository: other }, blob);
        await mountBlob({ client, repository }, blob, from);
      },
      [needs],
    );
    addLifeOf(group, repository, blob, name);
    addDeleteOf(group, other, blob, `${name}, where it came from`);
  };
  add('mount from another repository', 'mount', other);
  add('mount from any repository', 'anonymous-mount', undefined);
  const missing = randomBlob(512, algorithm);
  group.add(section, 'mount what is not there: an upload begins', (client) =>
    mountMissing({ client, repository }, missing, other),
  );
  addLifeOf(group, repository, missing, 'a mount of what is not there');
}

function addCancel(group: Group, repository: string, algorithm: Algorithm): void {
  const section = 'Cancel a blob upload';
  const blob = randomBlob(512, algorithm);
  const cancel = async (client: RegistryClient): Promise<URL> => {
    const { url } = await beginUpload({ client, repository });
    demandStatus(await client.ask(url, { method: 'DELETE' }), 204);
    return url;
  };
  group.add(section, 'DELETE of an upload: 204', async (client) => void (await cancel(client)), ['cancel']);
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    group.addFromText(
      section,
      `${method} of a cancelled upload: 404`,
      async (client) => demandStatus(await client.ask(await cancel(client), { method }), 404),
      ['cancel'],
    );
  }
  addDeleteOf(group, repository, blob, 'no push');
}

function addRefusals(group: Group, repository: string, algorithm: Algorithm): void {
  const add = (name: string, upload: Upload, needs: readonly Capability[] = []): void => {
    const blob = mislabelled(THREE_CHUNKS, algorithm);
    group.add(
      'Pushing blobs',
      `push by ${name} of bytes that are not of the digest: 400`,
      (client) => upload({ client, repository }, blob, 'refused'),
      needs,
    );
    group.addFromText('Pulling blobs', `GET after a refused push by ${name}: 404`, async (client) =>
      demandStatus(await client.ask(blobPath(repository, blob.digest)), 404),
    );
  };
  add('one POST', uploadByPost, ['single-post']);
  add('POST and PUT', uploadByPut);
  add('chunks', uploadByChunks({ lastInPut: false, outOfOrder: false }));
  add('chunks, the last in the PUT', uploadByChunks({ lastInPut: true, outOfOrder: false }));
  add('a stream in one PATCH', uploadByStream);
}
