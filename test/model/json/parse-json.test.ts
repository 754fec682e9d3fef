import test from 'ava';
import fc from 'fast-check';
import { MAX_JSON_DEPTH, MAX_JSON_NUMBER_LENGTH, MAX_JSON_VALUES } from '../../../src/limits.js';
import { JsonError, JsonLimitError, parseJson, parseJsonSteps } from '../../../src/model/go-json/parse.js';
import { isJsonArray } from '../../../src/model/go-json/codecs.js';
import type { JsonValue } from '../../../src/model/go-json/parse.js';
import { bytesOf } from '../../support/text-bytes.js';

test('every document that JSON.parse reads gives the same values', (t) => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t'), (text, space) => {
      const spaced = JSON.stringify(JSON.parse(text), null, space);
      t.deepEqual(plain(parseJson(bytesOf(spaced))), JSON.parse(spaced));
      return true;
    }),
  );
});

test('a text with one character changed is refused exactly when JSON.parse refuses it', (t) => {
  const character = fc.constantFrom(...'{}[]",:\\ \n\t0123456789.eE+-truefalsnu/\u0001');
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), fc.nat(), character, (text, place, inserted) => {
      const at = place % (text.length + 1);
      const changed = text.slice(0, at) + inserted + text.slice(at + 1);
      t.is(
        isRefused(() => parseJson(bytesOf(changed))),
        isRefused(() => JSON.parse(changed)),
        changed,
      );
      return true;
    }),
    { numRuns: 2_000 },
  );
});

const refused = test.macro({
  exec(t, text: string | Uint8Array) {
    t.throws(() => parseJson(typeof text === 'string' ? bytesOf(text) : text), { instanceOf: JsonError });
  },
  title: (name = '') => `${name} is refused`,
});

test('no text', refused, '');
test('white space alone', refused, ' \n');
test('a byte order mark', refused, '\ufeff{}');
test('a second value', refused, '{} {}');
test('text after the value', refused, 'null x');
test('a comma before the end of an object', refused, '{"a":1,}');
test('a comma before the end of an array', refused, '[1,]');
test('a key without quotes', refused, '{a:1}');
test('a key without a value', refused, '{"a"}');
test('an unclosed string', refused, '"abc');
test('a string that ends in a backslash', refused, '"abc\\');
test('a cut escape', refused, '"\\u12');
test('an escape with a sign', refused, '"\\u+123"');
test('an unknown escape', refused, '"\\x41"');
test('an escaped single quote', refused, `"\\'"`);
test('a line feed in a string', refused, '"a\nb"');
test('a line feed after an escape in a string', refused, '"\\t\n"');
test('a number with a leading zero', refused, '01');
test('a number with a plus', refused, '+1');
test('a number without digits after its point', refused, '1.');
test('a number that starts with its point', refused, '.5');
test('a number with an empty exponent', refused, '1e');
test('a hexadecimal number', refused, '0x10');
test('NaN', refused, 'NaN');
test('a comment', refused, '1 // one');
test('a no-break space', refused, '\u00a01');
test('a vertical tab', refused, '\u000b1');
test('a word with a wrong letter', refused, 'nulL');
test('a byte that is not UTF-8 outside a string', refused, Uint8Array.of(0x31, 0xff));

test('an error says where and what', (t) => {
  const error = t.throws(() => parseJson(bytesOf('{"a" 1}')), { instanceOf: JsonError });
  t.is(error.message, 'expected ":" after the key at character 6, found "1"');
  t.is(
    t.throws(() => parseJson(bytesOf('[1'))).message,
    'expected "," or "]" in an array at character 3, found the end',
  );
});

test('repeated keys stay, in order', (t) => {
  t.deepEqual(parseJson(bytesOf('{"a":1,"b":2,"a":3}')), {
    kind: 'object',
    keys: ['a', 'b', 'a'],
    values: ['1', '2', '3'].map((text) => ({ kind: 'number', text })),
  });
});

test('a key named __proto__ is a key like any other', (t) => {
  t.deepEqual(parseJson(bytesOf('{"__proto__":[]}')), { kind: 'object', keys: ['__proto__'], values: [[]] });
});

test('the digits of a number stay as they are written', (t) => {
  for (const text of ['9223372036854775807', '-0', '1.50', '1E+2', '0.1e-7', '123456789012345678901234567890']) {
    t.deepEqual(parseJson(bytesOf(text)), { kind: 'number', text });
  }
});

const string = test.macro({
  exec(t, json: string, expected: string) {
    t.is(parseJson(bytesOf(json)), expected);
  },
  title: (name = '') => `a string with ${name} is read as Go reads it`,
});

test('every short escape', string, '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t');
test('a surrogate pair in escapes', string, '"\\ud83d\\ude00"', '😀');
test('a lone high surrogate', string, '"a\\ud83db"', 'a\ufffdb');
test('a lone low surrogate', string, '"\\ude00"', '\ufffd');
test('two high surrogates before a low one', string, '"\\ud83d\\ud83d\\ude00"', '\ufffd😀');
test('a lone surrogate before a real character', string, '"\\ud83d😀"', '\ufffd😀');
test('upper-case hex digits', string, '"\\u00E9"', 'é');
test('an escaped zero', string, '"\\u0000"', '\0');
test('U+2028 as it is', string, '"\u2028"', '\u2028');
test('DEL as it is', string, '"\u007f"', '\u007f');

test('nesting is allowed up to the limit and refused beyond', (t) => {
  const nest = (depth: number): Uint8Array => bytesOf('['.repeat(depth) + ']'.repeat(depth));
  t.notThrows(() => parseJson(nest(MAX_JSON_DEPTH)));
  t.throws(() => parseJson(nest(MAX_JSON_DEPTH + 1)), { instanceOf: JsonError, message: /nested deeper than 1000/ });
  t.notThrows(() => parseJson(nest(3), { maxDepth: 3 }));
  t.throws(() => parseJson(bytesOf('{"a":{"b":[{}]}}'), { maxDepth: 3 }), { instanceOf: JsonError });
});

const counts = test.macro({
  exec(t, json: string, values: number) {
    t.notThrows(() => parseJson(bytesOf(json), { maxValues: values }));
    const error = t.throws(() => parseJson(bytesOf(json), { maxValues: values - 1 }));
    t.true(error instanceof JsonLimitError, String(error));
    t.regex(error.message, new RegExp(`more than ${values - 1} values`));
  },
  title: (_, json, values) => `${json} is ${values} values, and refused where one less is allowed`,
});

test(counts, '1', 1);
test(counts, '[]', 1);
test(counts, '[{},{},"a"]', 4);
test(counts, '{"a":{"b":[null,true]},"c":1}', 6);

test('values are refused while they are read and not after all of them were', (t) => {
  const error = t.throws(() => parseJson(bytesOf(`[${'{},'.repeat(MAX_JSON_VALUES)}`)), { instanceOf: JsonLimitError });
  t.regex(error.message, new RegExp(`more than ${MAX_JSON_VALUES} values`), 'the missing bracket was not reached');
});

test('a number may have MAX_JSON_NUMBER_LENGTH characters, or as many as are asked for', (t) => {
  const number = '1'.repeat(MAX_JSON_NUMBER_LENGTH);
  t.deepEqual(parseJson(bytesOf(number)), { kind: 'number', text: number });
  t.throws(() => parseJson(bytesOf(`${number}1`)), {
    instanceOf: JsonLimitError,
    message: /a number .* 1000 characters/,
  });
  t.throws(() => parseJson(bytesOf('-1.5e3'), { maxNumberLength: 5 }), { instanceOf: JsonLimitError });
});

test('a long text is read in steps, and gives the same value', (t) => {
  const bytes = bytesOf(`{"a":[${'{"b":[]},'.repeat(20_000)}1]}`);
  let pauses = 0;
  const steps = parseJsonSteps(bytes);
  for (;;) {
    const { done, value } = steps.next();
    if (done) {
      t.deepEqual(value, parseJson(bytes));
      break;
    }
    pauses++;
  }
  t.is(pauses, 80);
});

test('a million open brackets are an error and not a crash', (t) => {
  t.throws(() => parseJson(bytesOf('['.repeat(1_000_000))), { instanceOf: JsonError });
  t.throws(() => parseJson(bytesOf('{"a":'.repeat(1_000_000))), { instanceOf: JsonError });
});

function plain(value: JsonValue): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (isJsonArray(value)) return value.map(plain);
  if (value.kind === 'number') return Number(value.text);
  return Object.fromEntries(value.keys.map((key, at) => [key, plain(value.values[at] ?? null)]));
}

function isRefused(act: () => unknown): boolean {
  try {
    act();
    return false;
  } catch {
    return true;
  }
}
