import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { isStoreError, StoreError } from '../../src/errors.js';
import { fixturePath } from '../support/fixtures.js';
import { readBytes } from '../archive/read-fixture.js';

const NAMES = ['crane-app.tar', 'oci-all.tar', 'oci-zstd.tar', 'docker25-untagged.tar', 'skopeo-twice-1.tar'];
const UNENDED = 'the tar ends without its end blocks';
const STAGE_ALL = { maxMemoryFileBytes: 0 };

function fixture(name: string): Buffer {
  return readFileSync(fixturePath('archives', name));
}

/** Where the two zero blocks begin that end the tar. */
function endOf(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return Math.ceil(end / 512) * 512;
}

const refusesCut = test.macro({
  async exec(t, name: string) {
    const bytes = fixture(name);
    const end = endOf(bytes);
    const step = Math.ceil(end / 150);
    const lengths = Array.from({ length: Math.floor(end / step) }, (_, at) => 512 + at * step);
    for (const length of [...lengths.filter((cut) => cut < end), end + 1, end + 1023]) {
      const reading = readBytes(bytes.subarray(0, length), { limits: STAGE_ALL, chunkBytes: 1500 });
      // What ends between entries may lack only what nothing names.
      const contents = length % 512 === 0 ? await reading.catch(() => undefined) : undefined;
      if (contents !== undefined) {
        t.true(contents.contents.notices.includes(UNENDED), `${length} of ${bytes.length}`);
        continue;
      }
      const error = await t.throwsAsync(reading);
      t.true(isStoreError(error, 'ARCHIVE_TRUNCATED'), `${length} of ${bytes.length}: ${String(error)}`);
    }
    for (const [length, notices] of [
      [end, [UNENDED]],
      [end + 512, [UNENDED]],
      [end + 1024, []],
    ] as const) {
      const { contents } = await readBytes(bytes.subarray(0, length));
      t.true(contents.images.length > 0);
      t.deepEqual(
        contents.notices.filter((notice) => notice === UNENDED),
        [...notices],
      );
    }
  },
  title: (_, name) => `${name} cut anywhere within an entry is refused, and leaves nothing staged`,
});

const refusesCutCompressed = test.macro({
  async exec(t, name: string) {
    const bytes = gzipSync(fixture(name));
    for (let length = 20; length < bytes.length; length += Math.ceil(bytes.length / 60)) {
      const error = await t.throwsAsync(readBytes(bytes.subarray(0, length), { limits: STAGE_ALL }));
      t.true(isStoreError(error, 'COMPRESSION_INVALID'), `${length} of ${bytes.length}: ${String(error)}`);
    }
  },
  title: (_, name) => `${name}, compressed and cut anywhere, is refused, and leaves nothing staged`,
});

const survives = test.macro({
  async exec(t, name: string) {
    const bytes = fixture(name);
    const whole = await readBytes(bytes);
    const known = new Map(whole.contents.images.map(({ id, config }) => [id, Buffer.from(config)]));
    const flip = fc.tuple(fc.nat(endOf(bytes) - 1), fc.integer({ min: 1, max: 255 }));
    const property = fc.asyncProperty(
      fc.array(flip, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (flips, stage) => {
        const damaged = Buffer.from(bytes);
        for (const [at, mask] of flips) damaged[at] = (damaged[at] ?? 0) ^ mask;
        try {
          const { contents, staging } = await readBytes(damaged, stage ? { limits: STAGE_ALL } : {});
          // What is accepted is proved by digests: an image of a known id has the known bytes.
          for (const { id, config } of contents.images) {
            const expected = known.get(id);
            if (expected !== undefined && !expected.equals(config)) throw new Error(`another config for ${id}`);
          }
          await contents.discard();
          if (staging.left > 0) throw new Error('staged files were left behind');
        } catch (error) {
          if (!(error instanceof StoreError) || error.kind === 'Internal') throw error;
        }
      },
    );
    await fc.assert(property, { numRuns: 150 });
    t.pass();
  },
  title: (_, name) => `${name} with any bytes changed is read or refused by name, and leaves nothing staged`,
});

for (const name of NAMES) {
  test(refusesCut, name);
  test(refusesCutCompressed, name);
  test(survives, name);
}

test('random bytes behind any magic bytes are refused by name', async (t) => {
  const magic = fc.constantFrom('', '1f8b08', '28b52ffd', '425a6839', 'fd377a585a00');
  const property = fc.asyncProperty(magic, fc.uint8Array({ maxLength: 2000 }), async (start, rest) => {
    try {
      await readBytes(Buffer.concat([Buffer.from(start, 'hex'), rest]));
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'InvalidParameter') return;
      throw error;
    }
    throw new Error('random bytes were accepted');
  });
  await fc.assert(property, { numRuns: 200 });
  t.pass();
});
