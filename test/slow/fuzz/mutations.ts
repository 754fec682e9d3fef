import fc from 'fast-check';

type Mutation = (bytes: Uint8Array) => Uint8Array;

/** A place in bytes of any length, as a part of it. */
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** Bytes that begin something of 2^31 bytes or items and more, as MessagePack, tar and gzip say it, and what ends text. */
const HOSTILE: readonly (readonly number[])[] = [
  [0xdd, 0xff, 0xff, 0xff, 0xff],
  [0xdc, 0xff, 0xff],
  [0xc6, 0xff, 0xff, 0xff, 0xff],
  [0xdb, 0x7f, 0xff, 0xff, 0xff],
  [0xdf, 0xff, 0xff, 0xff, 0xff],
  [0xc9, 0xff, 0xff, 0xff, 0xff, 0x72],
  [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
  [0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0],
  [0, 0, 0, 0],
  [0x0a],
  [0xed, 0xa0, 0x80],
];

const flip = fc.tuple(place, fc.nat(7)).map(
  ([at, bit]): Mutation =>
    (bytes) => {
      const copy = Uint8Array.from(bytes);
      const index = Math.floor(at * copy.length);
      if (index < copy.length) copy[index] = (copy[index] as number) ^ (1 << bit);
      return copy;
    },
);

const splice = fc.tuple(place, fc.nat(40), fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(...HOSTILE))).map(
  ([at, removed, added]): Mutation =>
    (bytes) => {
      const index = Math.floor(at * bytes.length);
      return joined(bytes.subarray(0, index), Uint8Array.from(added), bytes.subarray(index + removed));
    },
);

const overwrite = fc.tuple(place, fc.constantFrom(...HOSTILE)).map(
  ([at, added]): Mutation =>
    (bytes) => {
      const copy = Uint8Array.from(bytes);
      const index = Math.floor(at * copy.length);
      copy.set(added.slice(0, copy.length - index), index);
      return copy;
    },
);

const cut = place.map(
  (at): Mutation =>
    (bytes) =>
      bytes.subarray(0, Math.floor(at * bytes.length)),
);

const repeat = fc.tuple(place, place, place).map(
  ([from, to, at]): Mutation =>
    (bytes) => {
      const [start = 0, end = 0] = [from, to].map((each) => Math.floor(each * bytes.length)).sort((a, b) => a - b);
      const index = Math.floor(at * bytes.length);
      return joined(bytes.subarray(0, index), bytes.subarray(start, end), bytes.subarray(index));
    },
);

/** Any bytes, and each of `valid` with some bytes changed, cut, put in or said twice. */
export function mutated(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const mutations = fc.array(fc.oneof(flip, splice, overwrite, cut, repeat), { minLength: 1, maxLength: 4 });
  const changed = fc
    .tuple(valid, mutations)
    .map(([bytes, each]) => each.reduce((before, change) => change(before), bytes));
  return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) });
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(pieces));
}
