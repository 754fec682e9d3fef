import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readRegularFile } from '../../../src/store/files/files.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

test('a file is read up to one byte more than the limit, which its parser then refuses', async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  const bytes = Uint8Array.from({ length: 200_000 }, (_, at) => at % 251);
  await writeFile(path, bytes);
  for (const limit of [0, 1, 65_535, 65_536, 199_999]) {
    t.deepEqual(await readRegularFile(path, { limitBytes: limit }), bytes.slice(0, limit + 1));
  }
  t.deepEqual(await readRegularFile(path, { limitBytes: 200_000 }), bytes);
});

test('a file that is not there has no bytes, and one that cannot be read is reported', async (t) => {
  const directory = await temporaryDirectory(t);
  t.is(await readRegularFile(join(directory, 'none'), { limitBytes: 10 }), undefined);
  await rejection(t, 'IO_FAILED', readRegularFile(directory, { limitBytes: 10 }));
});
