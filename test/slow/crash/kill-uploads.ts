import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { isStoreError } from '../../../src/errors.js';
import { equalBytes } from '../../../src/model/bytes.js';
import type { Uploads } from '../../../src/store/registry/local-uploads.js';
import { startChild } from '../child.js';
import type { CrashRun } from './crash-run.js';
import { namedBytes, namedDigest, openUploads, REPOSITORY, type UploadNews } from './uploaded-bytes.js';

const SHARE = 0.1;
const LEAST_ROUNDS = 15;
const NEWS_AT_MOST = 80;
const CHILD = new URL('./children/upload-many.js', import.meta.url);

/**
 * A process that uploads is killed at any moment. Afterwards each upload has what was acknowledged and can be continued to its
 * digest, each staged blob is whole, and no other file is there.
 */
export async function killUploads(run: CrashRun): Promise<void> {
  const { random, figures } = run;
  const { directory } = run.newStore();
  const rounds = run.rounds(SHARE, LEAST_ROUNDS);
  for (let round = 0; round < rounds; round++) {
    let left = random.below(NEWS_AT_MOST);
    const delayMs = random.below(8);
    const child = startChild<UploadNews>(CHILD, [directory, `${round}`], () => {
      if (left-- === 0) setTimeout(() => child.process.kill('SIGKILL'), delayMs);
    });
    const ended = await child.ended;
    figures.rounds += 1;
    if (ended === 'SIGKILL') figures.faults += 1;
    else run.note(`round ${round}`, [`the process ended by itself with ${ended}`]);
    figures.acknowledged += child.messages.length;
    run.note(`round ${round}`, await wrongUploads(directory, child.messages));
  }
}

async function wrongUploads(directory: string, news: readonly UploadNews[]): Promise<string[]> {
  const uploads = await openUploads(directory);
  const wrong = [...(await wrongStaged(uploads, news)), ...(await wrongReceived(uploads, news))];
  const staged = new Set(news.filter(({ what }) => what !== 'received').map(({ name }) => name));
  for (const name of staged) await uploads.settle(REPOSITORY, [namedDigest(name)]);
  await uploads.end();
  return [...wrong, ...(await leftOver(directory))];
}

async function wrongStaged(uploads: Uploads, news: readonly UploadNews[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { what, name } of news) {
    if (what !== 'staged') continue;
    const staged = uploads.staged(REPOSITORY, namedDigest(name));
    if (staged === undefined) wrong.push(`${name} was staged, and is gone`);
    else if (!equalBytes(await buffer(staged.read()), namedBytes(name))) wrong.push(`${name} has other bytes`);
  }
  return wrong;
}

/** Continues each upload that was not being finished. */
async function wrongReceived(uploads: Uploads, news: readonly UploadNews[]): Promise<string[]> {
  const open = new Map<string, { readonly name: string; readonly size: number }>();
  for (const each of news) {
    if (each.what === 'received') open.set(each.id, each);
    else if (each.what === 'finishing') open.delete(each.id);
  }
  const wrong: string[] = [];
  for (const [id, { name, size }] of open) {
    try {
      const upload = await uploads.upload(REPOSITORY, id);
      if (upload.size < size) wrong.push(`${name} has ${upload.size} of ${size} bytes that were acknowledged`);
      const rest = namedBytes(name).subarray(upload.size);
      await upload.append(only(rest), upload.size);
      await upload.finish(namedDigest(name));
      await uploads.settle(REPOSITORY, [namedDigest(name)]);
    } catch (error) {
      if (!isStoreError(error)) throw error;
      wrong.push(`${name} cannot be continued: ${error.code}`);
    }
  }
  return wrong;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Uploads that began and told nothing yet are cancelled; then no file may be left. */
async function leftOver(directory: string): Promise<string[]> {
  const incoming = join(directory, 'uploads/incoming');
  // A process that ended before its first upload made no folder.
  if (!existsSync(incoming)) return [];
  const uploads = await openUploads(directory);
  for (const name of readdirSync(incoming)) {
    if (!name.endsWith('.json')) continue;
    await (await uploads.upload(REPOSITORY, name.slice(0, -'.json'.length))).cancel();
  }
  await uploads.end();
  const left = ['incoming', 'staged'].flatMap((folder) => readdirSync(join(directory, 'uploads', folder)));
  return left.map((name) => `${name} belongs to nothing`);
}
