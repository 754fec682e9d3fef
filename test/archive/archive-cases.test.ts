import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { fixturePath } from '../support/fixtures.js';
import { readBytes } from './read-fixture.js';

const UNENDED = 'the tar ends without its end blocks';
const NOTHING_STAGED = { maxMemoryFileBytes: 1_000_000 };
const STAGE_ALL = { maxMemoryFileBytes: 0 };

/** What an archive holds: its names, or as many images without one; and its notices. */
interface Held {
  readonly names: readonly string[];
  readonly images?: number;
  readonly notices?: readonly string[];
}

const one = (name: string, notices: readonly string[] = []): Held => ({ names: [name], notices });

const held: Readonly<Record<string, Held>> = {
  '01-all-entries': one('br01/pack:2'),
  '01-entries-and-layers': one('br01/pack:1'),
  '01-one-unused': one('br01/pack:2'),
  '01-only-in-manifest': one('br01/pack:3'),
  '02-layer-twice-in-image': one('br02/c:1'),
  '02-manifest-appended': one('br02/new:1', [
    'the last entry counts of names that differ when they come again: "manifest.json"',
  ]),
  '02-oci-blob-twice': one('br02/d:1'),
  '02-two-images-one-layer': { names: ['br02/a:1', 'br02/b:1'] },
  '02-unused-twice': one('br02/old:1'),
  '03-absolute-unused': one('br03/abs:2'),
  '03-absolute-used': one('br03/abs:1'),
  '03-dangling-unused': one('br03/dangling:1'),
  '03-hard': one('br03/hard:1'),
  '03-outside-unused': one('br03/out:1'),
  '06-zero-blocks-none': one('br06/end:1', [UNENDED]),
  '06-zero-blocks-one': one('br06/end:1', [UNENDED]),
  '19-outer-devices': one('br19/b256:1'),
  '19-outer-size-base256': one('br19/b256:1'),
  '24-root-entry': { names: [], images: 1 },
};

const refused: Readonly<Record<string, readonly [code: string, found: RegExp]>> = {
  '06-lone-zero-block-inside': ['ARCHIVE_INVALID', /second zero block.* at byte \d+, after the entry "[0-9a-f]+\//],
  '06-one-and-a-half-blocks': ['ARCHIVE_TRUNCATED', /at byte \d+, after the entry "manifest\.json"/],
};

function expectedOf(name: string): Held | undefined {
  if (name.startsWith('07-')) return one('br07/x:1');
  if (name.startsWith('19-outer-')) return held[name] ?? one('br19/o:1');
  return name.startsWith('19-layer-') ? one('br19/l:1') : held[name];
}

const names = readdirSync(fixturePath('archives-cases'))
  .filter((name) => name.endsWith('.tar.gz'))
  .map((name) => name.replace('.tar.gz', ''));

function bytesOf(name: string): Buffer {
  return gunzipSync(readFileSync(fixturePath('archives-cases', `${name}.tar.gz`)));
}

for (const name of names) {
  test(`${name} holds what it should, or is refused for what is wrong with it`, async (t) => {
    const [code, found = /./] = refused[name] ?? [];
    for (const options of [{ limits: NOTHING_STAGED }, { limits: STAGE_ALL, chunkBytes: 777 }]) {
      if (code !== undefined) {
        const error = await t.throwsAsync(readBytes(bytesOf(name), options), { message: found });
        t.true(isStoreError(error) && error.code === code, String(error));
        continue;
      }
      const { contents } = await readBytes(bytesOf(name), options);
      const expected = expectedOf(name);
      const references = contents.references.map(({ reference }) => reference.replace('docker.io/', ''));
      t.deepEqual(references, expected?.names as string[] | undefined);
      t.is(contents.images.length, expected?.images ?? references.length);
      t.deepEqual(contents.notices, expected?.notices ?? []);
    }
  });
}

test('the image is the same whichever program packed it', async (t) => {
  const ids = new Set<string>();
  for (const name of names.filter((each) => each.startsWith('07-'))) {
    for (const image of (await readBytes(bytesOf(name))).contents.images) ids.add(image.id);
  }
  t.is(ids.size, 1);
});
