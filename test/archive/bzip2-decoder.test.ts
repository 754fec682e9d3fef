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

test('without another limit a step may give what several of the densest blocks stand for', (t) => {
  const densestBlockBytes = (900_000 / 5) * 255;
  t.true(MAX_BZIP2_STEP_BYTES > 4 * densestBlockBytes);
  t.deepEqual(decoded(), plain);
});
