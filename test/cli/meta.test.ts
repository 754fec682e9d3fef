import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, objectsOf, startSession } from './session.js';

test('meta sets, lists, prints and deletes values, and the log keeps who and why', async (t) => {
  const { done, run, wait } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  t.is(await done('meta', 'tiny:1'), 'KEY  SIZE  VALUE\n');
  const said = await done('meta', 'tiny:1', 'ticket=INC-77', '--actor', 'ana', '--reason', 'release 7');
  t.is(said, 'set ticket to "INC-77" in bd10de19d2be\n');
  wait(3_600_000);
  t.is(await done('meta', 'tiny:1', 'ticket=INC-78'), 'set ticket to "INC-78" in bd10de19d2be, was "INC-77"\n');
  t.is(await done('meta', 'tiny:1', 'ticket'), 'INC-78');
  t.is(await done('meta', 'tiny:1'), 'KEY     SIZE  VALUE\nticket   6 B  INC-78\n');
  t.is(await done('meta', '--at', '30m', 'tiny:1', 'ticket'), 'INC-77');
  t.is(await done('at', '30m', 'meta', 'bd10de', 'ticket'), 'INC-77');
  const [first] = objectsOf(await done('log', '--json', '--type', 'MetadataSet'));
  t.like(first, { key: 'ticket', value: 'INC-77', actor: 'ana', reason: 'release 7' });
  t.is(await done('meta', 'tiny:1', '--delete', 'ticket'), 'deleted ticket in bd10de19d2be, was "INC-78"\n');
  const absent = await run('meta', 'tiny:1', 'ticket');
  t.like(absent, { code: 3, stdout: '' });
  t.regex(absent.stderr, /has no metadata "ticket" \(METADATA_NOT_FOUND\)\nhint: `imagelog meta IMAGE` lists the keys/);
  t.is((await run('meta', 'tiny:1', '--delete', 'ticket')).code, 3);
  t.is((await run('meta', 'nope', 'ticket')).code, 3);
  t.is((await run('meta', 'nope', 'ticket=1')).code, 3);
});

test('a value is all after the first =, whatever it begins with, and bytes come from a file or the standard input', async (t) => {
  const { done, runIn, folder } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  for (const value of ['@file', '-', '=', '', 'a=b', ' é\n']) {
    await done('meta', 'tiny:1', `key=${value}`);
    t.is(await done('meta', 'tiny:1', 'key'), value);
  }
  const bytes = Buffer.from([0, 255, 10, 27]);
  await writeFile(join(folder, 'value'), bytes);
  t.is(
    await done('meta', 'tiny:1', 'key', '--file', join(folder, 'value')),
    'set key to 4 B of binary data in bd10de19d2be, was " é\\n"\n',
  );
  t.deepEqual((await runIn({}, 'meta', 'tiny:1', 'key')).bytes, bytes);
  const fromInput = await runIn({ stdin: Buffer.from('text') }, 'meta', 'tiny:1', 'other', '--file', '-');
  t.is(fromInput.code, 0, fromInput.stderr);
  t.is(await done('meta', 'tiny:1', 'other'), 'text');
  t.is(await done('meta', 'tiny:1'), 'KEY    SIZE  VALUE\nkey     4 B  <binary>\nother   4 B  text\n');
  t.is(await done('meta', '--quiet', 'tiny:1'), 'key\nother\n');
});

test('programs get values as text or base64, in meta, inspect and images', async (t) => {
  const { done, runIn } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const [set] = objectsOf(await done('meta', '--json', 'tiny:1', 'team=shop'));
  t.like(set, { set: 'team', value: 'shop', was: null });
  await runIn({ stdin: Buffer.from([1, 255]) }, 'meta', 'tiny:1', 'raw', '--file', '-');
  const listed = objectsOf(await done('meta', '--json', 'tiny:1'));
  t.like(listed[0], { key: 'raw', size: 2, value: 'Af8=', valueEncoding: 'base64' });
  t.like(listed[1], { key: 'team', size: 4, value: 'shop' });
  const metadata = { raw: { base64: 'Af8=' }, team: 'shop' };
  t.like(objectsOf(await done('inspect', '--json', 'tiny:1'))[0], { metadata });
  t.like((JSON.parse(await done('inspect', 'tiny:1')) as object[])[0], { metadata });
  t.like(objectsOf(await done('images', '--json', '--filter', 'reference=tiny'))[0], { metadata });
  t.like(objectsOf(await done('images', '--json', '--filter', 'reference=shop/*'))[0], { metadata: {} });
  t.like(objectsOf(await done('images', '--json', '--at', '27', '--filter', 'reference=tiny'))[0], { metadata: {} });
  const [gone] = objectsOf(await done('meta', '--json', 'tiny:1', '--delete', 'team'));
  t.like(gone, { deleted: 'team', was: { value: 'shop' } });
});

test('what is of Docker is shown by its meaning, is in no metadata, and is not set', async (t) => {
  const { done, run, store: directory } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const store = await openStore(directory, { now: () => Date.parse('2026-01-31T12:00:00Z') });
  const id = store.resolve('tiny-lib:1');
  const parent = store.resolve('tiny:1');
  await store.setLastUpdated(id);
  await store.setBuiltLocally(id);
  await store.close();
  const updated = '2026-01-31T12:00:00.000Z';
  t.is(
    await done('meta', 'tiny-lib:1'),
    `KEY           SIZE  VALUE\nparent              ${parent}\nlastUpdated         ${updated}\nbuiltLocally        true\n`,
  );
  t.is(await done('meta', 'tiny-lib:1', 'parent'), `${parent}\n`);
  t.is(await done('meta', 'tiny-lib:1', 'lastUpdated'), `${updated}\n`);
  t.deepEqual(
    objectsOf(await done('meta', '--json', 'tiny-lib:1')).map(({ key, value }) => [key, value]),
    [
      ['parent', parent],
      ['lastUpdated', updated],
      ['builtLocally', 'true'],
    ],
  );
  t.like(objectsOf(await done('inspect', '--json', 'tiny-lib:1'))[0], { metadata: {}, builtLocally: true });
  t.is((await run('meta', 'tiny:1', 'builtLocally')).code, 3);
  for (const words of [['parent=x'], ['lastUpdated=x'], ['--delete', 'builtLocally'], ['parent', '--file', 'x']]) {
    const { code, stderr } = await run('meta', 'tiny-lib:1', ...words);
    t.is(code, 2, words.join(' '));
    t.regex(stderr, /is Docker's own and not set as metadata/);
  }
});

test('a terminal gets text that it cannot obey, and no binary data', async (t) => {
  const { done, runIn } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  await done('meta', 'tiny:1', 'safe=two\nlines');
  await done('meta', 'tiny:1', 'unsafe=\u001b[2J');
  t.is((await runIn({ columns: 80 }, 'meta', 'tiny:1', 'safe')).stdout, 'two\nlines\n');
  const refused = await runIn({ columns: 80 }, 'meta', 'tiny:1', 'unsafe');
  t.like(refused, { code: 2, stdout: '' });
  t.regex(refused.stderr, /the value is 4 B of binary data: send it to a file or a pipe/);
  t.is(await done('meta', 'tiny:1', 'unsafe'), '\u001b[2J');
  const table = (await runIn({ columns: 40 }, '--no-color', 'meta', 'tiny:1')).stdout;
  t.true(table.split('\n').every((line) => line.length <= 40) && !table.includes('\u001b[2J'));
});

test('meta refuses a request of two minds, a key that is none, and a change of the past', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  for (const words of [
    ['tiny:1', '--delete'],
    ['tiny:1', '--delete', 'a=b'],
    ['tiny:1', 'a=b', '--file', 'x'],
    ['tiny:1', '--file', 'x'],
    ['--at', '3', 'tiny:1', 'a=b'],
    ['--at', '3', 'tiny:1', '--delete', 'a'],
  ]) {
    t.is((await run('meta', ...words)).code, 2, words.join(' '));
  }
  const invalid = await run('meta', 'tiny:1', 'a/b=c');
  t.is(invalid.code, 1);
  t.regex(invalid.stderr, /\(METADATA_INVALID\)/);
  const missing = await run('meta', 'tiny:1', 'a', '--file', '/nowhere');
  t.is(missing.code, 3);
  const large = await run('meta', 'tiny:1', 'a', '--file', archive('docker25-all.tar'));
  t.is(large.code, 1);
  t.regex(large.stderr, /\(RECORD_TOO_LARGE\)/);
  t.is(await done('meta', 'tiny:1'), 'KEY  SIZE  VALUE\n', 'nothing was set');
});
