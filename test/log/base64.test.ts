import { Buffer } from 'node:buffer';
import test from 'ava';
import fc from 'fast-check';
import { base64ToBytes, bytesToBase64 } from '../../src/log/note.js';

test('bytes are written as Node writes them, and read back', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = bytesToBase64(bytes);
      t.is(text, Buffer.from(bytes).toString('base64'));
      t.deepEqual(base64ToBytes(text), bytes);
    }),
  );
});

for (const text of ['AA', 'AA=', 'AB==', 'AAA', 'AA==\n', ' AA==', 'A A==', 'AA==AA==', '_w==', 'A', '=', 'é']) {
  test(`${JSON.stringify(text)} is not canonical base64`, (t) => t.is(base64ToBytes(text), undefined));
}
