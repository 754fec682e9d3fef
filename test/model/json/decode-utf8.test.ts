import test from 'ava';
import fc from 'fast-check';
import { decodeUtf8 } from '../../../src/model/go-json/parse.js';
import { bytesOf } from '../../support/text-bytes.js';

const decodes = test.macro({
  exec(t, bytes: readonly number[], expected: string) {
    t.is(decodeUtf8(Uint8Array.from(bytes)), expected);
  },
  title: (name = '') => `${name} is decoded as Go does, one U+FFFD for each bad byte`,
});

test('a byte that never occurs', decodes, [0x61, 0xff, 0x62], 'a\ufffdb');
test('a lone continuation byte', decodes, [0x80], '\ufffd');
test('a sequence of three cut after two', decodes, [0xe2, 0x82, 0x61], '\ufffd\ufffda');
test('a sequence of four cut at the end', decodes, [0xf0, 0x9f, 0x98], '\ufffd\ufffd\ufffd');
test('an overlong slash', decodes, [0xc0, 0xaf], '\ufffd\ufffd');
test('an overlong sequence of three', decodes, [0xe0, 0x80, 0xaf], '\ufffd\ufffd\ufffd');
test('an overlong sequence of four', decodes, [0xf0, 0x80, 0x80, 0xaf], '\ufffd\ufffd\ufffd\ufffd');
test('a surrogate', decodes, [0xed, 0xa0, 0x80], '\ufffd\ufffd\ufffd');
test('a code point above U+10FFFF', decodes, [0xf4, 0x90, 0x80, 0x80], '\ufffd\ufffd\ufffd\ufffd');
test('the last code point', decodes, [0xf4, 0x8f, 0xbf, 0xbf, 0xff], '\u{10ffff}\ufffd');
test('the byte order mark', decodes, [0xef, 0xbb, 0xbf, 0x61], '\ufeffa');

test('valid text comes out as it went in, also beside a bad byte', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const bytes = bytesOf(text);
      t.is(decodeUtf8(bytes), text);
      t.is(decodeUtf8(Uint8Array.of(...bytes, 0xff)), `${text}\ufffd`);
      return true;
    }),
  );
});

test('a long text with one bad byte is decoded whole', (t) => {
  const text = 'é😀a'.repeat(20_000);
  t.is(decodeUtf8(Uint8Array.from([...bytesOf(text), 0xc3])), `${text}\ufffd`);
});
