import test from 'ava';
import { MAX_ARCHIVE_NAME_BYTES } from '../../src/limits.js';
import { type BuiltEntry, buildTar } from '../support/build-tar.js';
import {
  type BuiltImage,
  buildImage,
  dockerEntries,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
} from './built-archives.js';
import { indexOf, ociBlobs } from './built-archives.js';
import { readBytes } from './read-fixture.js';

const file = (name: string, body = 'x'): BuiltEntry => ({ name, body });
const link = (name: string, target: string): BuiltEntry => ({ name, type: 'symlink', target });
const hardLink = (name: string, target: string): BuiltEntry => ({ name, type: 'link', target });
const REPLACED = 'the last entry counts of names that differ when they come again: ';

type Around = (image: BuiltImage) => { readonly before?: BuiltEntry[]; readonly after?: BuiltEntry[] };

/** The image is loaded with any entries around its own; `notices` are all of them. */
const harmless = test.macro({
  async exec(t, _: string, around: Around, notices: readonly string[] = []) {
    const image = await buildImage(['a', 'b']);
    const { before = [], after = [] } = around(image);
    const bytes = await buildTar([...before, ...dockerEntries([image]), ...after]);
    for (const maxMemoryFileBytes of [0, 100_000]) {
      const { contents } = await readBytes(bytes, { limits: { maxMemoryFileBytes } });
      t.deepEqual(
        contents.images.map(({ id }) => id as string),
        [image.id],
      );
      t.deepEqual(contents.notices, notices);
      await contents.discard();
    }
  },
  title: (_, what) => `${what} does no harm`,
});

const before =
  (...entries: BuiltEntry[]) =>
  () => ({ before: entries });
const twice =
  (...entries: BuiltEntry[]) =>
  () => ({ before: entries, after: entries });

test(harmless, 'an absolute name', before(file('/etc/passwd')));
test(harmless, 'a name that leads out', before(file('../../etc/passwd'), link('../manifest.json', 'x')));
test(harmless, 'a name with NUL', before({ ...file('a'), pax: { path: 'manifest.json\0' } }));
test(harmless, 'a file, link or folder that is the root', before(file('./.'), link('/', 'x'), link('.', '..')));
test(
  harmless,
  'the root by any name',
  before(...['.', './', '/', '//', 'a/..'].map((name) => ({ name, type: 'directory' }))),
);
test(harmless, 'a link that leads out', before(link('a', '../../etc'), hardLink('b', '../c'), link('c', '/../../d')));
test(harmless, 'a link in a circle', before(link('a', 'b'), link('b', 'a'), link('c', 'c')));
test(harmless, 'a link to something too long', before(link('a', 'x'.repeat(MAX_ARCHIVE_NAME_BYTES + 1))));
test(harmless, 'a link to an absolute path', before(link('a', '/etc/passwd'), hardLink('b', '/etc/shadow')));
test(
  harmless,
  'a device or a pipe',
  before({ name: 'd', type: '3' }, { name: 'e', type: '4' }, { name: 'p', type: '6' }),
);
test(
  harmless,
  'an entry of an unknown type',
  before({ ...file('q', 'data'), type: 'Q' }, { ...file('n', 'n'), type: 'N' }),
);
test(harmless, 'a part of another volume', before({ ...file('m', 'data'), type: 'M' }));
test(harmless, 'a dumped directory', before({ ...file('./', 'Ymanifest.json\0\0'), type: 'D' }));
test(harmless, 'a label of the name of a file', (_image) => ({ after: [{ name: 'manifest.json', type: 'V' }] }));
test(
  harmless,
  'a sparse file without a map',
  before({ ...file('s', 'abc'), pax: { 'GNU.sparse.map': 'x', 'GNU.sparse.size': '9' } }),
);
test(harmless, 'a folder with a size', before({ name: 'd/', type: 'directory', size: 4096 }));
test(
  harmless,
  'a name that comes twice with the same bytes',
  twice(file('a'), link('l', 'x'), { name: 'd/', type: 'directory' }),
);
test(harmless, 'a name that comes twice', () => ({ before: [file('0.0.tar'), file('a')], after: [file('./a', 'y')] }), [
  `${REPLACED}"0.0.tar", "a"`,
]);
test(
  harmless,
  'a link in the place of a file, and a file in that of a link or folder',
  ({ layers }) => ({
    before: [{ name: '0.1.tar/', type: 'directory' }, link('0.0.tar', 'no')],
    after: [{ name: 'moved', body: layers[0] ?? '' }, link('0.0.tar', 'moved')],
  }),
  [`${REPLACED}"0.0.tar", "0.1.tar"`],
);
test(
  harmless,
  'many names that come twice',
  () => ({
    before: Array.from({ length: 9 }, (_, at) => file(`${at}`)),
    after: Array.from({ length: 9 }, (_, at) => file(`${at}`, 'y')),
  }),
  [`${REPLACED}"0", "1", "2", "3", "4" and 4 more`],
);

test('a hard link is to what a name stood for when it came, an unresolved one to what comes later', async (t) => {
  const image = await buildImage(['a', 'b']);
  const [first = '', second = ''] = image.layers;
  const bytes = await buildTar([
    { name: 'x', body: first },
    hardLink('kept', 'x'),
    hardLink('later', 'y'),
    { name: 'x', body: second },
    { name: 'y', body: second },
    ...dockerEntries([image], [{ Layers: ['kept', 'later'] }]).filter(({ name }) => !name.startsWith('0.')),
  ]);
  t.is((await readBytes(bytes)).contents.images[0]?.id as string, image.id);
});

test('names and targets of any spelling lead to the same file', async (t) => {
  const image = await buildImage(['a', 'b']);
  const [first = '', second = ''] = image.layers;
  const rest = dockerEntries([image], [{ Layers: ['/./x/l0', 'l//1'] }]).filter(({ name }) => !name.startsWith('0.'));
  const bytes = await buildTar([
    ...rest.map((entry) => ({ ...entry, name: `./${entry.name}` })),
    { name: '//x/../x/./l0', body: first },
    { name: '/deep/er/l1', body: second },
    link('./l', '/deep/er'),
    link('deep/er/1', './l1'),
  ]);
  t.is((await readBytes(bytes)).contents.images[0]?.id as string, image.id);
});

test('in an OCI layout the last of a name counts too', async (t) => {
  const image = await buildImage(['a']);
  const document = manifestOf(image);
  const entries = [
    LAYOUT,
    { name: '/index.json', body: '{}' },
    ...ociBlobs([image], [document]),
    { name: './index.json', body: indexOf([manifestDescriptor(document)]) },
  ];
  const { contents } = await readBytes(await buildTar(entries));
  t.is(contents.images[0]?.id as string, image.id);
  t.deepEqual(contents.notices[0], `${REPLACED}"index.json"`);
});

test('what a tar lacks that has no end blocks was cut off', async (t) => {
  const image = await buildImage(['a']);
  const entries = dockerEntries([image]);
  const whole = await buildTar(entries);
  const withoutManifest = (await buildTar(entries.slice(0, -1))).subarray(0, -1024);
  await t.throwsAsync(readBytes(withoutManifest), {
    code: 'ARCHIVE_TRUNCATED',
    message: /found only .*; the tar ends without its end blocks/,
  });
  const withoutConfig = (await buildTar([...entries.slice(1)])).subarray(0, -1024);
  await t.throwsAsync(readBytes(withoutConfig), { code: 'ARCHIVE_TRUNCATED', message: /config\.0\.json/ });
  t.is((await readBytes(whole.subarray(0, -1024))).contents.notices.length, 1);
});
