import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { writeRandomArchive } from '../../scripts/bench/inputs/random-archive.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startChild } from './child.js';

const LAYERS = 4;
const LAYER_BYTES = 256 * 1024 ** 2;
const MAX_PEAK_BYTES = 200e6;

const LOAD = new URL('./children/load-once.js', import.meta.url);
const SAVE = new URL('./children/save-once.js', import.meta.url);
const UPLOAD = new URL('./children/upload-once.js', import.meta.url);

interface Told {
  readonly peakBytes: number;
  readonly layersAdded?: number;
  readonly savedBytes?: number;
}

/** Runs a child to its end and checks the peak that it tells. */
async function measured(t: ExecutionContext, what: string, script: URL, args: string[], input?: string): Promise<Told> {
  const child = startChild<Told>(script, args);
  const feeding =
    input === undefined ? Promise.resolve() : pipeline(createReadStream(input), child.process.stdin as Writable);
  const [code] = await Promise.all([child.ended, feeding]);
  t.is(code, 0, what);
  const [told] = child.messages;
  if (told === undefined) throw new Error(`${what}: the child told nothing`);
  t.log(`${what}: ${(told.peakBytes / 1e6).toFixed(0)} MB`);
  t.true(told.peakBytes < MAX_PEAK_BYTES, `${what} took ${told.peakBytes} bytes`);
  return told;
}

test('an archive of 1 GiB is loaded, saved and uploaded in less than 200 MB of memory', async (t) => {
  const directory = await temporaryDirectory(t);
  const archive = join(directory, 'archive.tar');
  await writeRandomArchive(archive, { layers: LAYERS, layerBytes: LAYER_BYTES, seed: 1 });
  const { size } = await stat(archive);
  const store = join(directory, 'store');
  t.is((await measured(t, 'load from a file', LOAD, [store, archive])).layersAdded, LAYERS);
  const piped = join(directory, 'piped');
  t.is((await measured(t, 'load from a pipe', LOAD, [piped, '-'], archive)).layersAdded, LAYERS);
  for (const format of ['docker', 'oci']) {
    const { savedBytes = 0 } = await measured(t, `save as ${format}`, SAVE, [store, format]);
    t.true(Math.abs(savedBytes - size) < 1024 ** 2, `${savedBytes} bytes saved`);
  }
  const compressed = join(directory, 'archive.tar.gz');
  await pipeline(createReadStream(archive), createGzip({ level: 1 }), createWriteStream(compressed));
  const gzip = join(directory, 'gzip');
  t.is((await measured(t, 'load compressed from a file', LOAD, [gzip, compressed])).layersAdded, LAYERS);
  for (const file of [archive, compressed]) {
    const uploaded = await measured(t, 'upload', UPLOAD, [join(directory, `uploads of ${basename(file)}`), file]);
    t.is(uploaded.savedBytes, (await stat(file)).size);
  }
});
