import { readFileSync } from 'node:fs';
import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { readTar, type TarReaderOptions } from '../../src/archive/tar-reader.js';
import { fixturePath } from '../support/fixtures.js';
import { buildTar, collect, inChunks } from '../support/build-tar.js';

async function readAll(bytes: Uint8Array, chunkBytes = 65_536, options?: TarReaderOptions): Promise<unknown[]> {
  const entries: unknown[] = [];
  for await (const { body, fault, ...entry } of readTar(inChunks(bytes, chunkBytes), options)) {
    entries.push({ ...entry, body: (await collect(body)).toString(), ...(fault && { fault: fault.found }) });
  }
  return entries;
}

const longName = `${'directory/'.repeat(20)}ümlaut`;

test('entries come in order with names, types, targets and bodies', async (t) => {
  const tar = await buildTar([
    { name: 'd/', type: 'directory' },
    { name: longName, body: 'x'.repeat(1000) },
    { name: 's', type: 'symlink', target: longName },
    { name: 'h', type: 'link', target: 'd/a' },
    { name: 'p', type: 'fifo' },
    { name: 'empty' },
  ]);
  for (const size of [1, 500, tar.length]) {
    t.deepEqual(await readAll(tar, size), [
      { name: 'd/', type: 'directory', size: 0, target: '', body: '' },
      { name: longName, type: 'file', size: 1000, target: '', body: 'x'.repeat(1000) },
      { name: 's', type: 'symlink', size: 0, target: longName, body: '' },
      { name: 'h', type: 'link', size: 0, target: 'd/a', body: '' },
      { name: 'p', type: 'other', size: 0, target: '', body: '', fault: 'a pipe' },
      { name: 'empty', type: 'file', size: 0, target: '', body: '' },
    ]);
  }
});

test('a body that is not read is skipped', async (t) => {
  const tar = await buildTar([
    { name: 'a', body: Buffer.alloc(300_000) },
    { name: 'b', body: 'x' },
  ]);
  const names: string[] = [];
  for await (const entry of readTar(inChunks(tar, 1000))) names.push(entry.name);
  t.deepEqual(names, ['a', 'b']);
});

test('bytes after the end are read and left out', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'x' }]);
  const other = await buildTar([{ name: 'b', body: 'y' }]);
  const source = inChunks(Buffer.concat([tar, other, Buffer.alloc(100_000, 1)]), 700);
  const names: string[] = [];
  for await (const entry of readTar(source)) names.push(entry.name);
  t.deepEqual(names, ['a']);
  t.true((await source.next()).done);
});

test('a reader that stops in the middle of a body ends cleanly', async (t) => {
  const tar = await buildTar([{ name: 'a', body: Buffer.alloc(300_000, 7) }]);
  for await (const entry of readTar(inChunks(tar, 1000))) {
    for await (const chunk of entry.body) {
      t.is(chunk[0], 7);
      break;
    }
    break;
  }
});

test('an error thrown while reading an entry comes out as it is', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'x' }]);
  const reading = async (): Promise<void> => {
    for await (const entry of readTar(inChunks(tar))) throw new RangeError(`not ${entry.name}`);
  };
  await t.throwsAsync(reading(), { instanceOf: RangeError, message: 'not a' });
});

test('an error of the source comes out as it is, between entries and within one', async (t) => {
  const tar = await buildTar([{ name: 'a', body: Buffer.alloc(2000) }]);
  for (const length of [0, 512, 1000]) {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield tar.subarray(0, length);
      throw new RangeError('disk on fire');
    }
    const reading = async (): Promise<void> => {
      for await (const entry of readTar(failing())) await collect(entry.body);
    };
    await t.throwsAsync(reading(), { instanceOf: RangeError, message: 'disk on fire' });
  }
});

test('a real archive that stops anywhere within an entry is refused', async (t) => {
  const tar = readFileSync(fixturePath('archives', 'crane-app.tar'));
  const end = tar.length - 10_240;
  for (let length = 512; length < end; length += 97) {
    if (length % 512 === 0) continue;
    const error = await t.throwsAsync(readAll(tar.subarray(0, length), 777), undefined, `${length} bytes`);
    t.true(isStoreError(error, 'ARCHIVE_TRUNCATED'), `${length}: ${String(error)}`);
  }
});

test('a tar that ends after an entry without both its zero blocks is whole, and that is told', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'x' }]);
  const ends: number[] = [];
  for (const length of [1024, 1536, 2048]) {
    const names: string[] = [];
    for await (const { name } of readTar(inChunks(tar.subarray(0, length)), {}, () => ends.push(length)))
      names.push(name);
    t.deepEqual(names, ['a']);
  }
  t.deepEqual(ends, [1024, 1536]);
  await t.throwsAsync(readAll(tar.subarray(0, 1023)), { message: /at byte 1023, after the entry "a"/ });
  await t.throwsAsync(readAll(tar.subarray(0, 1030)), { message: /at byte 1024, after the entry "a"/ });
  const cut = await buildTar([{ name: 'b', body: Buffer.alloc(900) }]);
  await t.throwsAsync(readAll(cut.subarray(0, 1000)), { message: /at byte 1000, in the entry "b"/ });
});

const refuses = test.macro({
  async exec(t, _: string, make: () => Promise<Uint8Array>, code: string, options?: TarReaderOptions) {
    const bytes = await make();
    for (const size of [1, bytes.length || 1]) {
      const error = await t.throwsAsync(readAll(bytes, size, options));
      t.true(isStoreError(error) && error.code === code, String(error));
    }
  },
  title: (_, what) => `a reader refuses ${what}`,
});

test(refuses, 'an empty file', async () => Buffer.alloc(0), 'ARCHIVE_INVALID');
test(refuses, 'a short text', async () => Buffer.from('<!DOCTYPE html>'), 'ARCHIVE_INVALID');
test(
  refuses,
  'the start of a header',
  async () => (await buildTar([{ name: 'a' }])).subarray(0, 200),
  'ARCHIVE_TRUNCATED',
);
test(refuses, 'more entries than the limit', () => buildTar([{ name: 'a' }, { name: 'b' }]), 'ARCHIVE_LIMIT_EXCEEDED', {
  maxEntries: 1,
});
test(refuses, 'a name over the limit', () => buildTar([{ name: 'a'.repeat(51) }]), 'ARCHIVE_LIMIT_EXCEEDED', {
  maxNameBytes: 50,
});
test(
  refuses,
  'an extended header over the limit',
  () => buildTar([{ name: 'a', pax: { comment: 'x'.repeat(5000) } }]),
  'ARCHIVE_LIMIT_EXCEEDED',
  { maxExtendedBytes: 4000 },
);
