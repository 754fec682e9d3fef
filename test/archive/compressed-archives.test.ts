import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { fixturePath } from '../support/fixtures.js';
import { readBytes } from './read-fixture.js';

const plain = readFileSync(fixturePath('archives', 'docker25-untagged.tar'));

test('other data after a compressed archive is ignored with a notice', async (t) => {
  const { contents: expected } = await readBytes(plain);
  for (const extension of ['gz', 'zst', 'bz2', 'xz']) {
    const bytes = readFileSync(fixturePath('compressed', `docker25-untagged.tar.${extension}`));
    const {
      contents: { images, notices },
    } = await readBytes(Buffer.concat([bytes, Buffer.from('rubbish\n')]));
    t.deepEqual(
      images.map(({ id }) => id),
      expected.images.map(({ id }) => id),
    );
    t.is(notices.length, expected.notices.length + 1);
    t.true(notices.some((notice) => /^other data after the end of the \w+ data was ignored$/.test(notice)));
  }
});

test('archives by xz may have a check of SHA-256 or a filter', async (t) => {
  const { contents: expected } = await readBytes(plain);
  for (const name of ['sha256', 'x86']) {
    const bytes = readFileSync(fixturePath('compressed', `docker25-untagged-${name}.tar.xz`));
    const {
      contents: { images, notices },
    } = await readBytes(bytes);
    t.deepEqual(
      images.map(({ id }) => id),
      expected.images.map(({ id }) => id),
    );
    t.deepEqual(notices, expected.notices);
  }
});

test('a file of another format is refused by its name', async (t) => {
  const zip = Buffer.concat([Buffer.from('504b0304', 'hex'), Buffer.alloc(600, 1)]);
  await t.throwsAsync(readBytes(zip), { code: 'ARCHIVE_INVALID', message: /found a zip file: unpack it first/ });
  const twice = gzipSync(gzipSync(plain));
  await t.throwsAsync(readBytes(twice), { code: 'ARCHIVE_INVALID', message: /found gzip inside gzip/ });
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(plain.toString('latin1'), 'utf16le')]);
  await t.throwsAsync(readBytes(utf16), { code: 'ARCHIVE_INVALID', message: /found UTF-16 text/ });
});
