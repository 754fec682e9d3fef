import test from 'ava';
import { nameForeign } from '../../src/archive/archive-tree.js';

const names = test.macro({
  exec(t, start: Uint8Array, expected: RegExp) {
    t.regex(nameForeign(start) ?? '', expected);
  },
  title: (_, start: Uint8Array = new Uint8Array(0), expected: unknown = undefined) =>
    `what starts with ${Buffer.from(start).toString('hex')} is ${String(expected)}`,
});

test(names, Buffer.from('04224d186440', 'hex'), /^an lz4 file: .*lz4 -d/);
test(names, Buffer.from('4c5a495001', 'hex'), /^an lzip file/);
test(names, Buffer.from('5d00008000ffffffff', 'hex'), /^an lzma file/);
test(names, Buffer.from('1f8b0800', 'hex'), /^gzip inside gzip/);
test(names, Buffer.from('377abcaf271c', 'hex'), /^a 7z file/);
test(names, Buffer.from('504b0304', 'hex'), /^a zip file/);
test(names, Buffer.from('fffe62006c00', 'hex'), /^UTF-16 text, .*docker save -o/);
test(names, Buffer.from('\n<!DOCTYPE html><html>'), /^an HTML page/);

test('another format has no name', (t) => {
  for (const text of ['', '{"a": 1}', 'blobs/sha256', '<xml>']) t.is(nameForeign(Buffer.from(text)), undefined);
});
