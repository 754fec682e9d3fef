import { tellParent } from '../../child.js';
import { namedBytes, namedDigest, openUploads, REPOSITORY, type UploadNews } from '../uploaded-bytes.js';

/*
 * Uploads until it is killed, four blobs at a time, each in several requests. Every acknowledgement is told: the parent has it
 * before the next request begins.
 */

const UPLOADS_AT_ONCE = 4;
const CHUNK_BYTES = 8 * 1024;
const [directory, round] = process.argv.slice(2) as [string, string];
const uploads = await openUploads(directory);
let next = 0;

const tell = (news: UploadNews): Promise<void> => tellParent(news);

function* chunksOf(bytes: Uint8Array, from: number, to: number): Generator<Uint8Array> {
  for (let at = from; at < to; at += CHUNK_BYTES) yield bytes.subarray(at, Math.min(at + CHUNK_BYTES, to));
}

async function* later(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function uploadOne(name: string): Promise<void> {
  const bytes = namedBytes(name);
  const upload = await uploads.start(REPOSITORY, 'ada');
  // One of three sends all with its last request, which may leave it without files before it is staged.
  const isAtOnce = next % 3 === 0;
  for (let part = 1; part <= 3 && !isAtOnce; part++) {
    const to = Math.floor((bytes.length * part) / 3);
    const size = await upload.append(later(chunksOf(bytes, upload.size, to)), upload.size);
    await tell({ what: 'received', id: upload.id, name, size });
  }
  await tell({ what: 'finishing', id: upload.id, name });
  if (isAtOnce) await upload.append(later(chunksOf(bytes, 0, bytes.length)), 0, { isLast: true });
  await upload.finish(namedDigest(name));
  await tell({ what: 'staged', name });
}

async function uploadInTurn(): Promise<never> {
  // Two uploads of some names meet.
  for (;;) await uploadOne(`${round} ${Math.floor(next++ / 2)}`);
}

await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, uploadInTurn));
