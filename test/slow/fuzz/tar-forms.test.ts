import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../../src/errors.js';
import { buildImage, dockerEntries } from '../../archive/built-archives.js';
import { type BuiltEntry, buildTar, inChunks, padded, paxOf } from '../../support/build-tar.js';
import { footprint, temporaryStore } from '../../store/temporary-store.js';
import { fuzz } from './fuzz.js';

type Pieces = readonly (readonly [offset: number, length: number])[];

/** A number of a map: near the size of the file, or beyond all that is meant. */
const number = fc.oneof(
  fc.nat(4096),
  fc.constantFrom(1024, 2047, 2048, 2049, 2 ** 33, 2 ** 40, 999_999_999_999_999, 2 ** 53, -1),
);
/** Any map, and two that are right for the data of 2,048 bytes. */
const map = fc.oneof(
  fc.array(fc.tuple(number, number), { maxLength: 6 }),
  fc.constantFrom<Pieces>(
    [[0, 2048]],
    [
      [0, 1024],
      [1500, 1024],
    ],
  ),
);
const size = fc.oneof(fc.constant(2048), number);

/** A header field of 12 bytes: octal, or in base 256 what does not fit. */
function field(value: number): Buffer {
  if (value >= 0 && value < 8 ** 11) return Buffer.from(`${value.toString(8).padStart(11, '0')}\0`);
  const bytes = Buffer.alloc(12);
  bytes[0] = value < 0 ? 0xff : 0x80;
  bytes.writeBigInt64BE(BigInt(value), 4);
  return bytes;
}

/** A sparse file of each form, whose map and size say what they like of `data`. */
const forms: readonly ((data: Uint8Array, pieces: Pieces, size: number) => Omit<BuiltEntry, 'name'>)[] = [
  (data, pieces, bytes) => ({
    type: 'S',
    body: data,
    fields: { 386: Buffer.concat(pieces.slice(0, 4).flat().map(field)), 483: field(bytes) },
  }),
  (data, pieces, bytes) => ({
    body: data,
    pax: [
      ['GNU.sparse.size', `${bytes}`],
      ...pieces.flatMap(([offset, length]) => [
        ['GNU.sparse.offset', `${offset}`] as const,
        ['GNU.sparse.numbytes', `${length}`] as const,
      ]),
    ],
  }),
  (data, pieces, bytes) => ({
    body: data,
    pax: { 'GNU.sparse.size': `${bytes}`, 'GNU.sparse.map': pieces.flat().join(',') },
  }),
  (data, pieces, bytes) => ({
    body: Buffer.concat([padded(Buffer.from([pieces.length, ...pieces.flat(), ''].join('\n'))), data]),
    pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': `${bytes}` },
  }),
];
const form = fc.constantFrom(...forms);

/** The archive of an image of which an entry is what was made. */
const hostile = fc.record({ form, map, size, isLayer: fc.boolean() });

test('a sparse file is what its map says or an error, and an error changes nothing', async (t) => {
  const store = await temporaryStore(t);
  const image = await buildImage(['a']);
  const [layer = Buffer.alloc(0)] = image.layers;
  await fuzz(
    t,
    hostile,
    async ({ form: make, map: pieces, size: bytes, isLayer }) => {
      const entries = dockerEntries([image]).map((entry) =>
        entry.name === '0.0.tar' && isLayer ? { ...make(layer, pieces, bytes), name: entry.name } : entry,
      );
      const tar = await buildTar(isLayer ? entries : [...entries, { ...make(layer, pieces, bytes), name: 'unused' }]);
      await loadsOrRefuses(t, store, tar);
    },
    150,
  );
});

test('a PAX size that lies is an error, and changes nothing', async (t) => {
  const store = await temporaryStore(t);
  const image = await buildImage(['a']);
  const lies = fc.record({ size, at: fc.nat(2), header: fc.option(size, { nil: undefined }), isGlobal: fc.boolean() });
  await fuzz(
    t,
    lies,
    async ({ size: bytes, at, header, isGlobal }) => {
      const entries = dockerEntries([image]).map((entry, place): BuiltEntry => {
        if (place !== at) return entry;
        const written = header === undefined || header < 0 || header >= 8 ** 11 ? {} : { size: header };
        return { ...entry, ...written, ...(isGlobal ? {} : { pax: { size: `${bytes}` } }) };
      });
      const global: BuiltEntry = { name: 'g', type: 'g', body: paxOf([['size', `${bytes}`]]) };
      await loadsOrRefuses(t, store, await buildTar(isGlobal ? [global, ...entries] : entries));
    },
    150,
  );
});

async function loadsOrRefuses(
  t: { is(actual: unknown, expected: unknown): unknown },
  store: Awaited<ReturnType<typeof temporaryStore>>,
  tar: Uint8Array,
): Promise<void> {
  const before = JSON.stringify(await footprint(store));
  try {
    await store.load(inChunks(tar, 5_000));
  } catch (error) {
    if (!isStoreError(error) || error.kind !== 'InvalidParameter') throw error;
    t.is(JSON.stringify(await footprint(store)), before);
  }
}
