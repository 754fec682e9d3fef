import { readFileSync } from 'node:fs';
import test from 'ava';
import { MAX_BZIP2_STEP_BYTES } from '../../src/limits.js';
import { createBzip2Decoder } from '../../src/compression/bzip2-decoder.js';
import { fixturePath } from '../support/fixtures.js';

const plain = readFileSync(fixturePath('archives', 'oci-all.tar'));
const compressed = readFileSync(fixturePath('compressed', 'oci-all.tar.bz2'));

function decoded(maxStepBytes?: number): Buffer {
  const decoder = createBzip2Decoder(maxStepBytes);
  return Buffer.concat([...decoder.push(compressed), ...decoder.end()]);
}

test('a step may give as much as it is told, and not one byte more', (t) => {
  // The file is less than a block, so that all of it comes out in one step.
  t.deepEqual(decoded(plain.length), plain);
  t.throws(() => decoded(plain.length - 1), { message: `one step gave more than ${plain.length - 1} bytes` });
});

for (const count of [1, 2, 3, 4]) {
  test(`other bytes behind the end are named, and no fault of the decoder: ${count}`, (t) => {
    for (const other of [Buffer.alloc(count, 'x'), Buffer.from('BZh9').subarray(0, count)]) {
      const decoder = createBzip2Decoder();
      const decode = (): unknown => [...decoder.push(Buffer.concat([compressed, other])), ...decoder.end()];
      t.throws(decode, { message: /^(?:input stream ended prematurely|other data after the end of the bzip2 data)$/ });
    }
  });
}

test('input that is cut anywhere ended too early', (t) => {
  for (let length = compressed.length - 1; length > 0; length -= 997) {
    const decoder = createBzip2Decoder();
    const decode = (): unknown => [...decoder.push(compressed.subarray(0, length)), ...decoder.end()];
    t.throws(decode, { message: 'input stream ended prematurely' });
  }
});

test('without another limit a step may give what several of the densest blocks stand for', (t) => {
  const densestBlockBytes = (900_000 / 5) * 255;
  t.true(MAX_BZIP2_STEP_BYTES > 4 * densestBlockBytes);
  t.deepEqual(decoded(), plain);
});
