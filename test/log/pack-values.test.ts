import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { packValues, type PackedValue } from '../../src/log/pack-values.js';
import { bytesToHex } from '../../src/model/digest.js';

const packr = new Packr({ useRecords: false });

const anyPart: fc.Arbitrary<PackedValue> = fc.oneof(
  fc.constant(null),
  fc.maxSafeNat(),
  fc.nat({ max: 70_000 }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }),
);
const anyValues = fc.array(fc.oneof(anyPart, fc.array(anyPart, { maxLength: 20 })), { maxLength: 20 });

test('values are packed as another packer does, byte by byte', (t) => {
  fc.assert(
    fc.property(anyValues, (values) => {
      t.is(bytesToHex(packValues(values)), bytesToHex(packr.pack(values)));
    }),
  );
});

const packsAlike = test.macro({
  exec(t, values: readonly PackedValue[]) {
    t.is(bytesToHex(packValues(values)), bytesToHex(packr.pack(values)));
  },
  title: (given = '') => `${given} is packed as another packer does`,
});

const BORDERS = [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536];

for (const length of BORDERS) {
  test(`a text of ${length} letters`, packsAlike, ['a'.repeat(length)]);
  test(`a text of ${length} letters of two bytes`, packsAlike, ['é'.repeat(length)]);
  test(`a binary of ${length} bytes`, packsAlike, [new Uint8Array(length)]);
  test(
    `an array of ${length} values`,
    packsAlike,
    Array.from({ length }, (_, at) => at),
  );
}

for (const number of [127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
  test(`the number ${number}`, packsAlike, [number]);
