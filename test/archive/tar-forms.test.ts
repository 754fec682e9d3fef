import test from 'ava';
import { MAX_SPARSE_HOLE_BYTES, MAX_SPARSE_RUNS } from '../../src/limits.js';
import { readTar, type TarReaderOptions } from '../../src/archive/tar-reader.js';
import { type BuiltEntry, buildTar, builtEntry, collect, inChunks, padded, paxOf } from '../support/build-tar.js';

interface Found {
  readonly name: string;
  readonly type: string;
  readonly target?: string;
  readonly size: number;
  readonly body: string;
  readonly fault?: string;
}

async function readAll(bytes: Uint8Array, chunkBytes: number, options?: TarReaderOptions): Promise<Found[]> {
  const found: Found[] = [];
  for await (const { name, type, target, size, body, fault } of readTar(inChunks(bytes, chunkBytes), options)) {
    const text = (await collect(body)).toString();
    const why = fault === undefined ? {} : { fault: `${fault.code}: expected ${fault.expected}, found ${fault.found}` };
    found.push({ name, type, size, body: text, ...(target === '' ? {} : { target }), ...why });
  }
  return found;
}

/** What is between the given blocks and an entry `after` is found, however the bytes come. */
const finds = test.macro({
  async exec(t, _: string, blocks: readonly Buffer[], expected: readonly Found[]) {
    const tar = Buffer.concat([...blocks, await buildTar([{ name: 'after', body: 'the end' }])]);
    for (const size of [1, 511, 1024, tar.length]) {
      t.deepEqual(await readAll(tar, size), [...expected, plain('after', 'the end')]);
    }
  },
  title: (_, what) => `a reader knows ${what}`,
});

const plain = (name: string, body: string): Found => ({ name, type: 'file', size: body.length, body });
const text = (value: string, length: number): Buffer => Buffer.concat([Buffer.from(value), Buffer.alloc(length)]);
const entries = (...all: readonly BuiltEntry[]): Buffer[] => all.map(builtEntry);
const long = `${'folder/'.repeat(30)}naïve`;

test(finds, 'v7', entries({ name: 'a', body: 'x', type: '\0', fields: { 257: Buffer.alloc(8) } }), [plain('a', 'x')]);
test(
  finds,
  'a directory of v7 by its slash',
  entries({ name: 'd/', type: '\0', size: 9, fields: { 257: Buffer.alloc(8) } }),
  [{ name: 'd/', type: 'directory', size: 0, body: '' }],
);
test(finds, 'the prefix of ustar', entries({ name: 'a', body: 'x', fields: { 345: 'p/q' } }), [plain('p/q/a', 'x')]);
test(
  finds,
  'the prefix of star, which times follow',
  entries({ name: 'a', body: 'x', fields: { 345: 'p', 476: '12345670123', 508: 'tar\0' } }),
  [plain('p/a', 'x')],
);
test(
  finds,
  'that GNU has times in the place of a prefix',
  entries({ name: 'a', body: 'x', fields: { 257: 'ustar  \0', 345: '12345670123' } }),
  [plain('a', 'x')],
);
test(
  finds,
  'long names and targets of GNU',
  entries(
    { name: '././@LongLink', type: 'K', body: text(`${long}2`, 1) },
    { name: '././@LongLink', type: 'L', body: text(long, 1) },
    { name: 'cut', type: '2', target: 'cut' },
    { name: 'next', body: 'x' },
  ),
  [{ name: long, type: 'symlink', target: `${long}2`, size: 0, body: '' }, plain('next', 'x')],
);
test(
  finds,
  'a size in base 256',
  entries({ name: 'a', body: 'xyz', fields: { 124: Buffer.from('800000000000000000000003', 'hex') } }),
  [plain('a', 'xyz')],
);
test(
  finds,
  'names, targets and sizes of PAX',
  entries(
    { name: 'a', type: '2', pax: { path: long, linkpath: `${long}2` } },
    { name: 'b', body: 'xyz', size: 1, pax: { size: '3', path: '' } },
  ),
  [{ name: long, type: 'symlink', target: `${long}2`, size: 0, body: '' }, plain('b', 'xyz')],
);
test(
  finds,
  'that a global header holds until a record of an entry',
  [
    ...entries({
      name: 'g',
      type: 'g',
      body: paxOf([
        ['linkpath', 'global'],
        ['comment', 'x'],
      ]),
    }),
    ...entries({ name: 'a', type: '2', target: 'own' }, { name: 'b', type: '2', pax: { linkpath: 'nearer' } }),
  ],
  [
    { name: 'a', type: 'symlink', target: 'global', size: 0, body: '' },
    { name: 'b', type: 'symlink', target: 'nearer', size: 0, body: '' },
  ],
);

const runs = (...numbers: readonly number[]): string =>
  numbers.map((value) => `${value.toString(8).padStart(11, '0')}\0`).join('');
const filled = 'ab\0\0\0cde\0\0';
const sparseFile = plain('s', filled);
const oldSparse = (map: string, more: BuiltEntry['fields'] = {}, size = 10): BuiltEntry => ({
  name: 's',
  type: 'S',
  body: 'abcde',
  fields: { 257: 'ustar  \0', 386: map, 483: runs(size), ...more },
});
const pax = (version: string, more: Readonly<Record<string, string>>): Record<string, string> => {
  const [major = '', minor = ''] = version.split('.');
  return {
    'GNU.sparse.major': major,
    'GNU.sparse.minor': minor,
    'GNU.sparse.name': 's',
    'GNU.sparse.realsize': '10',
    ...more,
  };
};
const inData = (map: string, data = 'abcde'): BuiltEntry => ({
  name: 'GNUSparseFile.1/s',
  body: Buffer.concat([padded(Buffer.from(map)), Buffer.from(data)]),
  pax: pax('1.0', {}),
});

test(finds, 'old sparse files of GNU', entries(oldSparse(runs(0, 2, 5, 3, 10, 0))), [sparseFile]);
test(
  finds,
  'old sparse maps that continue in blocks',
  (() => {
    const [header = Buffer.alloc(0)] = entries(oldSparse(runs(0, 0, 0, 0, 0, 0, 0, 2), { 482: '\x01' }));
    const more = Buffer.alloc(512);
    more.write(runs(...Array.from({ length: 21 }, () => [2, 0]).flat()), 'latin1');
    more[504] = 1;
    const last = Buffer.alloc(512);
    last.write(runs(5, 3), 'latin1');
    return [header.subarray(0, 512), more, last, header.subarray(512)];
  })(),
  [sparseFile],
);
test(
  finds,
  'sparse files of the PAX form 0.0',
  entries({
    name: 's',
    body: 'abcde',
    pax: [
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.numblocks', '2'],
      ['GNU.sparse.offset', '0'],
      ['GNU.sparse.numbytes', '2'],
      ['GNU.sparse.offset', '5'],
      ['GNU.sparse.numbytes', '3'],
    ],
  }),
  [sparseFile],
);
test(
  finds,
  'sparse files of the PAX form 0.1',
  entries({
    name: 'GNUSparseFile.1/s',
    body: 'abcde',
    pax: { 'GNU.sparse.size': '10', 'GNU.sparse.name': 's', 'GNU.sparse.map': '0,2,5,3' },
  }),
  [sparseFile],
);
test(finds, 'sparse files of the PAX form 1.0', entries(inData('2\n0\n2\n5\n3\n')), [sparseFile]);
test(finds, 'a map of the form 1.0 of several blocks', entries(inData(`302\n0\n2\n${'2\n0\n'.repeat(300)}5\n3\n`)), [
  sparseFile,
]);
test(finds, 'a file of nothing but a hole', entries(inData('0\n', '')), [plain('s', '\0'.repeat(10))]);
test(
  finds,
  'a size of a sparse file without a map',
  entries({ name: 'a', body: 'xyz', pax: { 'GNU.sparse.realsize': '9' } }),
  [plain('a', 'xyz')],
);

const faulty = (found: string, expected = 'a sparse file', code = 'ARCHIVE_INVALID'): Found => {
  return { name: 's', type: 'other', size: 0, body: '', fault: `${code}: expected ${expected}, found ${found}` };
};
const DISORDER = 'a map whose pieces overlap or are out of order';
const NO_NUMBERS = 'a map that is no list of numbers';
const FORMS = 'a sparse file of the form 0.0, 0.1 or 1.0';

test(finds, 'a map that overlaps', entries(oldSparse(runs(0, 3, 2, 2))), [faulty(DISORDER)]);
test(finds, 'a map out of order', entries(inData('2\n5\n3\n0\n2\n')), [faulty(DISORDER)]);
test(finds, 'a map beyond the size', entries(inData('2\n0\n2\n8\n3\n')), [faulty('a map beyond its size of 10 bytes')]);
test(finds, 'a map of more than the data', entries(inData('1\n0\n9\n')), [
  faulty('a map of 9 bytes for 5 bytes of data'),
]);
test(finds, 'a map of less than the data', entries(oldSparse(runs(0, 4))), [
  faulty('a map of 4 bytes for 5 bytes of data'),
]);
test(finds, 'a map of text', entries(inData('2\n0\nx\n5\n3\n')), [faulty(NO_NUMBERS)]);
test(finds, 'a count of text', entries(inData('two\n')), [faulty(NO_NUMBERS)]);
test(finds, 'a map of negative numbers', entries(oldSparse(`${'\xff'.repeat(12)}${runs(3)}`)), [faulty(NO_NUMBERS)]);
test(finds, 'a map beyond all numbers', entries(inData(`1\n${'9'.repeat(15)}\n${'9'.repeat(15)}\n`)), [
  faulty('a map beyond its size of 10 bytes'),
]);
test(finds, 'a map that the data does not hold', entries(inData('9\n0\n')), [
  faulty('a map that its data does not hold'),
]);
test(finds, 'a map without its lines', entries(inData('1'.repeat(2000))), [
  faulty('a map that its data does not hold'),
]);
test(
  finds,
  'a map of one number too few',
  entries({ name: 's', body: 'abcde', pax: { 'GNU.sparse.size': '10', 'GNU.sparse.map': '0,2,5' } }),
  [faulty(NO_NUMBERS)],
);
test(
  finds,
  'a map whose records are out of turn',
  entries({
    name: 's',
    body: 'abcde',
    pax: { 'GNU.sparse.size': '10', 'GNU.sparse.numbytes': '2', 'GNU.sparse.offset': '5' },
  }),
  [faulty(NO_NUMBERS)],
);
test(finds, 'a sparse file without a size', entries({ name: 's', body: 'abcde', pax: { 'GNU.sparse.map': '0,5' } }), [
  faulty('none that says its size'),
]);
test(finds, 'a form 1.1', entries({ name: 's', body: 'abcde', pax: pax('1.1', {}) }), [
  faulty('the form "1.1"', FORMS),
]);
test(finds, 'a form 2.0', entries({ name: 's', body: 'abcde', pax: pax('2.0', {}) }), [
  faulty('the form "2.0"', FORMS),
]);
test(finds, 'a map of too many pieces', entries(inData(`${MAX_SPARSE_RUNS + 1}\n`)), [
  faulty(`${MAX_SPARSE_RUNS + 1}`, `a sparse file of at most ${MAX_SPARSE_RUNS} pieces`, 'ARCHIVE_LIMIT_EXCEEDED'),
]);

test('a map may have MAX_SPARSE_RUNS pieces, and not one more', async (t) => {
  const blocks = (count: number): Buffer => {
    const [header = Buffer.alloc(0)] = entries(oldSparse(runs(0, 5), { 482: '\x01' }));
    const more = Buffer.alloc(512 * Math.ceil((count - 1) / 21));
    for (let run = 0; run < count - 1; run++) {
      const block = Math.floor(run / 21) * 512;
      more.write(runs(5, 0), block + (run % 21) * 24, 'latin1');
      if (block > 0) more[block - 512 + 504] = 1;
    }
    return Buffer.concat([header.subarray(0, 512), more, header.subarray(512), Buffer.alloc(1024)]);
  };
  t.is((await readAll(blocks(MAX_SPARSE_RUNS), 65_536))[0]?.body, `abcde${'\0'.repeat(5)}`);
  for (const count of [MAX_SPARSE_RUNS + 1, 3 * MAX_SPARSE_RUNS]) {
    t.regex((await readAll(blocks(count), 65_536))[0]?.fault ?? '', /^ARCHIVE_LIMIT_EXCEEDED/);
  }
});

test('the holes of all sparse files are counted together', async (t) => {
  const tar = await buildTar([inData('2\n0\n2\n5\n3\n'), oldSparse(runs(0, 5), {}, 9)]);
  const faults = async (maxSparseHoleBytes: number): Promise<readonly (string | undefined)[]> =>
    (await readAll(tar, 1000, { maxSparseHoleBytes })).map(({ fault }) => fault);
  t.deepEqual(await faults(9), [undefined, undefined]);
  const exceeded = (left: number, found: number): string =>
    `ARCHIVE_LIMIT_EXCEEDED: expected holes of at most ${left} bytes in sparse files, found ${found} bytes`;
  t.deepEqual(await faults(8), [undefined, exceeded(3, 4)]);
  t.deepEqual(await faults(4), [exceeded(4, 5), undefined]);
});

test('a hole may have MAX_SPARSE_HOLE_BYTES, and not one more', async (t) => {
  const faultOf = async (bytes: number): Promise<unknown> => {
    const tar = await buildTar([oldSparse(runs(0, 5), {}, bytes + 5)]);
    for await (const { fault } of readTar(inChunks(tar))) return fault;
    return undefined;
  };
  t.is(await faultOf(MAX_SPARSE_HOLE_BYTES), undefined);
  t.like(await faultOf(MAX_SPARSE_HOLE_BYTES + 1), { code: 'ARCHIVE_LIMIT_EXCEEDED' });
});

test('a body is a part of the chunk it came in', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'xyz' }]);
  const chunk = new Uint8Array(tar);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield chunk;
  }
  for await (const { body } of readTar(source())) {
    for await (const part of body) t.is(part.buffer, chunk.buffer);
  }
});

test('a body ends when the next entry is asked for', async (t) => {
  const reader = readTar(
    inChunks(
      await buildTar([
        { name: 'a', body: 'x'.repeat(2000) },
        { name: 'b', body: 'y' },
      ]),
      600,
    ),
  );
  const first = await reader.next();
  const second = await reader.next();
  if (first.done || second.done) throw new Error('an entry is missing');
  t.is((await collect(first.value.body)).length, 0);
  t.is((await collect(second.value.body)).toString(), 'y');
});
