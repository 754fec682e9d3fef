import test from 'ava';
import fc from 'fast-check';
import { compareUtf8, quoteJson } from '../../../src/model/go-json/codecs.js';
import { bytesOf } from '../../support/text-bytes.js';

test('every character below U+0100 is written as Go writes it', (t) => {
  const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '"': '\\"', '\\': '\\\\' };
  for (let code = 0; code < 0x100; code++) {
    const character = String.fromCharCode(code);
    const hex = `\\u00${code.toString(16).padStart(2, '0')}`;
    const expected = short[character] ?? (code < 0x20 || '<>&'.includes(character) ? hex : character);
    t.is(quoteJson(`a${character}b`), `"a${expected}b"`);
  }
});

test('line separators and halves of surrogate pairs are escaped, whole pairs are not', (t) => {
  t.is(quoteJson('\u2028\u2029'), '"\\u2028\\u2029"');
  t.is(quoteJson('\ud83d'), '"\\ufffd"');
  t.is(quoteJson('\ude00\ud83d'), '"\\ufffd\\ufffd"');
  t.is(quoteJson('😀\u2027\u202a'), '"😀\u2027\u202a"');
});

test('JSON.parse reads back what is written', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      t.is(JSON.parse(quoteJson(text)), text);
      return true;
    }),
  );
});

test('strings compare as their UTF-8 bytes do', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}') });
  fc.assert(
    fc.property(text, text, (a, b) => {
      t.is(Math.sign(compareUtf8(a, b)), compareBytes(bytesOf(a), bytesOf(b)));
      return true;
    }),
    { numRuns: 1_000 },
  );
  t.true(compareUtf8('\uffff', '😀') < 0, 'which is not the order of UTF-16');
});

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return Math.sign(a.length - b.length);
}
