import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { isThere } from '../../../src/store/files/files.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

test('what is there is there, a link that leads nowhere is not, and what cannot be inspected is reported', async (t) => {
  const place = await temporaryDirectory(t);
  const path = (name: string): string => join(place, name);
  await writeFile(path('file'), '');
  await symlink(path('file'), path('link'));
  await symlink(path('nothing'), path('nowhere'));
  await symlink(path('loop'), path('loop'));
  t.true(await isThere(path('file')));
  t.true(await isThere(path('link')));
  t.true(await isThere(place));
  t.true(await isThere(path('loop')));
  t.false(await isThere(path('nothing')));
  t.false(await isThere(path('nowhere')));
  await rejection(t, 'IO_FAILED', isThere(join(path('file'), 'below')));
  await rejection(t, 'IO_FAILED', isThere(path('n'.repeat(300))));
});

test('a store whose files are links to themselves is reported, or refused by name', async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, 'log'));
  for (const name of ['imagelog.json', 'log/CURRENT']) await symlink(join(directory, name), join(directory, name));
  const codes = (await verifyStore(directory)).map(({ code }) => code);
  t.true(codes.includes('LOG_FILE_DAMAGED'), codes.join());
  await rejection(t, 'SIDECAR_INVALID', openStore(directory));
  const other = await temporaryDirectory(t);
  await symlink(join(other, 'log'), join(other, 'log'));
  await rejection(t, 'IO_FAILED', verifyStore(other));
});
