import test from 'ava';
import {
  boolCodec,
  type Codec,
  decodeJson,
  field,
  type Int64,
  int64Codec,
  mapCodec,
  omitEmptyField,
  pointerCodec,
  sliceCodec,
  stringCodec,
  structCodec,
} from '../../../src/model/go-json/codecs.js';
import { JsonError } from '../../../src/model/go-json/parse.js';
import { bytesOf } from '../../support/text-bytes.js';

interface Point {
  readonly x: Int64;
  readonly y: Int64;
}

interface Shape {
  readonly name: string;
  readonly task: string;
  readonly isOpen: boolean;
  readonly centre: Point;
  readonly corner: Point | undefined;
  readonly points: readonly Point[] | null;
  readonly labels: Readonly<Record<string, string>> | null;
}

const point = structCodec<Point>({ x: field('x', int64Codec), y: field('y', int64Codec) });
const shape: Codec<Shape> = structCodec<Shape>({
  name: field('name', stringCodec),
  task: omitEmptyField('task', stringCodec),
  isOpen: omitEmptyField('open', boolCodec),
  centre: omitEmptyField('centre', point),
  corner: omitEmptyField('corner', pointerCodec(point)),
  points: omitEmptyField('points', sliceCodec(point)),
  labels: field('labels', mapCodec(stringCodec)),
});

const decodes = test.macro({
  exec(t, json: string, expected: Partial<Shape>) {
    t.deepEqual(decodeJson(bytesOf(json), shape), { ...shape.zero(), ...expected });
  },
  title: (name = '') => `${name}, as in Go`,
});

test('a key matches in any case', decodes, '{"NAME":"a","Open":true}', { name: 'a', isOpen: true });
test('of repeated keys the last one wins', decodes, '{"name":"a","name":"b"}', { name: 'b' });
test('a later key in another case wins over an exact one', decodes, '{"name":"a","Name":"b"}', { name: 'b' });
test('the long s and the Kelvin sign are letters of ASCII', decodes, '{"ta\u017f\u212a":"a"}', { task: 'a' });
test('a dotless i is no i', decodes, '{"po\u0131nts":[]}', {});
test('unknown keys are skipped', decodes, '{"other":{"name":[1]}}', {});
test('null leaves text as it is', decodes, '{"name":"a","name":null}', { name: 'a' });
test('null leaves a struct as it is', decodes, '{"centre":{"x":1},"centre":null}', { centre: { x: 1, y: 0 } });
test('null clears a pointer', decodes, '{"corner":{"x":1},"corner":null}', {});
test('null clears a list', decodes, '{"points":[{"x":1}],"points":null}', {});
test('null clears a map', decodes, '{"labels":{"a":"b"},"labels":null}', {});
test('a repeated struct is merged', decodes, '{"centre":{"x":1},"centre":{"y":2}}', { centre: { x: 1, y: 2 } });
test('a repeated pointer is merged', decodes, '{"corner":{"x":1},"corner":{"y":2}}', { corner: { x: 1, y: 2 } });
test('a repeated map is merged', decodes, '{"labels":{"a":"1","b":"1"},"labels":{"b":"2"}}', {
  labels: { a: '1', b: '2' },
});
test(
  'a repeated list takes the length of the last, and merges element by element',
  decodes,
  '{"points":[{"x":1},{"x":2}],"points":[{"y":3}]}',
  {
    points: [{ x: 1, y: 3 }],
  },
);
test('null in a list is a zero value', decodes, '{"points":[null]}', { points: [{ x: 0, y: 0 }] });
test('null in a map is a zero value', decodes, '{"labels":{"a":null}}', { labels: { a: '' } });
test('an empty list is not the nil list', decodes, '{"points":[]}', { points: [] });

test('a zero value is never shared between two decodings', (t) => {
  const first = decodeJson(bytesOf('{"centre":{"x":1}}'), shape);
  t.deepEqual(decodeJson(bytesOf('{}'), shape).centre, { x: 0, y: 0 });
  t.deepEqual(first.centre, { x: 1, y: 0 });
});

test('a map may have a key named __proto__ and leaves objects alone', (t) => {
  const codec = mapCodec(stringCodec);
  const value = decodeJson(bytesOf('{"__proto__":"a","b":"c"}'), codec);
  t.deepEqual(Object.keys(value ?? {}), ['__proto__', 'b']);
  t.is(codec.encode(value), '{"__proto__":"a","b":"c"}');
  t.is(Object.getPrototypeOf(value), Object.prototype);
});

const refuses = test.macro({
  exec(t, json: string, message: string) {
    const error = t.throws(() => decodeJson(bytesOf(json), shape), { instanceOf: JsonError });
    t.is(error.message, message);
  },
  title: (name = '') => `${name} is refused by the name of the field`,
});

test('a number for text', refuses, '{"name":1.5}', 'name: expected a string, found number 1.5');
test('text for a boolean', refuses, '{"open":"yes"}', 'open: expected true or false, found a string');
test(
  'text for a number deep inside',
  refuses,
  '{"points":[{},{"x":"1"}]}',
  'points.1.x: expected a 64-bit integer, found a string',
);
test('an array for a struct', refuses, '{"centre":[]}', 'centre: expected an object, found an array');
test('an object for an array', refuses, '{"points":{}}', 'points: expected an array, found an object');
test('a boolean in a map', refuses, '{"labels":{"k":true}}', 'labels.k: expected a string, found a boolean');
test('an array for a map', refuses, '{"labels":[]}', 'labels: expected an object, found an array');
test('another type at the top', refuses, '[]', 'expected an object, found an array');
test('a wrong type under a key in another case', refuses, '{"NAME":true}', 'name: expected a string, found a boolean');

const integer = test.macro({
  exec(t, json: string, expected: Int64 | undefined) {
    if (expected === undefined) {
      t.throws(() => decodeJson(bytesOf(json), int64Codec), { instanceOf: JsonError });
      return;
    }
    const value = decodeJson(bytesOf(json), int64Codec);
    t.is(value, expected);
    t.is(int64Codec.encode(value), expected.toString());
  },
  title: (_, json, expected) => `the integer ${json} is ${expected === undefined ? 'refused' : 'kept exactly'}`,
});

test(integer, '1'.repeat(900), undefined);
test(integer, '0', 0);
test(integer, '-0', 0);
test(integer, '-5', -5);
test(integer, '9007199254740991', 9007199254740991);
test(integer, '9007199254740993', 9007199254740993n);
test(integer, '9223372036854775807', 9223372036854775807n);
test(integer, '-9223372036854775808', -9223372036854775808n);
test(integer, '9223372036854775808', undefined);
test(integer, '-9223372036854775809', undefined);
test(integer, '1.0', undefined);
test(integer, '1e3', undefined);
test(integer, '"1"', undefined);

test('empty fields are left out only where the struct says so', (t) => {
  t.is(shape.encode(shape.zero()), '{"name":"","centre":{"x":0,"y":0},"labels":null}');
  const whole: Shape = {
    name: '<',
    task: 't',
    isOpen: true,
    centre: { x: 1, y: 9007199254740993n },
    corner: { x: 0, y: 0 },
    points: [{ x: 2, y: 3 }],
    labels: { '😀': '3', '\uffff': '2', '10': '1', '9': '0' },
  };
  const text =
    '{"name":"\\u003c","task":"t","open":true,"centre":{"x":1,"y":9007199254740993},"corner":{"x":0,"y":0},' +
    '"points":[{"x":2,"y":3}],"labels":{"10":"1","9":"0","\uffff":"2","😀":"3"}}';
  t.is(shape.encode(whole), text);
  t.deepEqual(decodeJson(bytesOf(text), shape), whole);
});
