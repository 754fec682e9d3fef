import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from '../../limits.js';
import { decodeUtf8 } from './decode-utf8.js';
import { JsonError, JsonLimitError } from './json-error.js';
import type { JsonValue } from './value.js';

interface Reader {
  readonly text: string;
  readonly maxDepth: number;
  readonly maxValues: number;
  at: number;
  /** Values begun so far. */
  values: number;
}

/** How large a JSON text may become in memory. */
export interface JsonLimits {
  /** How deep arrays and objects may nest; default MAX_JSON_DEPTH. */
  readonly maxDepth?: number | undefined;
  /** How many values there may be, at all depths together; default MAX_JSON_VALUES. */
  readonly maxValues?: number | undefined;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const LETTER_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const FOUR_HEX_DIGITS = /^[0-9a-fA-F]{4}$/;
const LONE_SURROGATES = /\p{Surrogate}/gu;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/**
 * Returns the one JSON value in `bytes`, as Go's encoding/json reads it: strict
 * RFC 8259 syntax and no byte order mark; bytes that are no UTF-8 and
 * surrogates without their other half become U+FFFD. Unlike `JSON.parse` it keeps repeated
 * keys and the digits of numbers. Takes time linear in the size, and stops at the first value beyond `limits`.
 *
 * @throws {JsonError} when the syntax is wrong
 * @throws {JsonLimitError} when arrays and objects nest too deep, or there are too many values
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = {}): JsonValue {
  const { maxDepth = MAX_JSON_DEPTH, maxValues = MAX_JSON_VALUES } = limits;
  const reader: Reader = { text: decodeUtf8(bytes), maxDepth, maxValues, at: 0, values: 0 };
  const value = readValue(reader, 0);
  skipSpace(reader);
  if (reader.at < reader.text.length) throw unexpected(reader, 'the end');
  return value;
}

function readValue(reader: Reader, depth: number): JsonValue {
  reader.values += 1;
  if (reader.values > reader.maxValues) {
    throw new JsonLimitError(`there are more than ${reader.maxValues} values at character ${reader.at + 1}`);
  }
  switch (skipSpace(reader)) {
    case QUOTE:
      return readString(reader);
    case OPEN_OBJECT:
      return readObject(reader, nested(reader, depth));
    case OPEN_ARRAY:
      return readArray(reader, nested(reader, depth));
    case 0x74:
      return readWord(reader, 'true', true);
    case 0x66:
      return readWord(reader, 'false', false);
    case 0x6e:
      return readWord(reader, 'null', null);
    default:
      return readNumber(reader);
  }
}

function nested(reader: Reader, depth: number): number {
  if (depth < reader.maxDepth) return depth + 1;
  throw new JsonLimitError(
    `arrays and objects are nested deeper than ${reader.maxDepth} at character ${reader.at + 1}`,
  );
}

function readObject(reader: Reader, depth: number): JsonValue {
  const keys: string[] = [];
  const values: JsonValue[] = [];
  reader.at++;
  if (skipSpace(reader) === CLOSE_OBJECT) {
    reader.at++;
    return { kind: 'object', keys, values };
  }
  for (;;) {
    if (skipSpace(reader) !== QUOTE) throw unexpected(reader, 'a key in double quotes');
    keys.push(readString(reader));
    if (skipSpace(reader) !== COLON) throw unexpected(reader, '":" after the key');
    reader.at++;
    values.push(readValue(reader, depth));
    const next = skipSpace(reader);
    if (next !== COMMA && next !== CLOSE_OBJECT) throw unexpected(reader, '"," or "}" in an object');
    reader.at++;
    if (next === CLOSE_OBJECT) return { kind: 'object', keys, values };
  }
}

function readArray(reader: Reader, depth: number): JsonValue {
  const items: JsonValue[] = [];
  reader.at++;
  if (skipSpace(reader) === CLOSE_ARRAY) {
    reader.at++;
    return items;
  }
  for (;;) {
    items.push(readValue(reader, depth));
    const next = skipSpace(reader);
    if (next !== COMMA && next !== CLOSE_ARRAY) throw unexpected(reader, '"," or "]" in an array');
    reader.at++;
    if (next === CLOSE_ARRAY) return items;
  }
}

function readWord<Word extends boolean | null>(reader: Reader, word: string, value: Word): Word {
  if (!reader.text.startsWith(word, reader.at)) throw unexpected(reader, word);
  reader.at += word.length;
  return value;
}

function readNumber(reader: Reader): JsonValue {
  NUMBER.lastIndex = reader.at;
  const text = NUMBER.exec(reader.text)?.[0];
  if (text === undefined) throw unexpected(reader, 'a value');
  reader.at += text.length;
  return { kind: 'number', text };
}

/** Reads the string whose opening quote is the next character. */
function readString(reader: Reader): string {
  const { text } = reader;
  const start = reader.at + 1;
  for (let at = start; ; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      reader.at = at + 1;
      return text.slice(start, at);
    }
    if (code === BACKSLASH) return readEscapedString(reader, start, at);
    // Past the end the code is NaN, which is not at least a space either.
    if (!(code >= 0x20)) throw unexpectedInString(reader, at);
  }
}

/** Reads the rest of the string that begins at `start` and has its first escape at `at`. */
function readEscapedString(reader: Reader, start: number, at: number): string {
  const { text } = reader;
  let result = '';
  let from = start;
  let next = at;
  for (;;) {
    const code = text.charCodeAt(next);
    if (code === BACKSLASH) {
      result += text.slice(from, next);
      const end = escapeEnd(text, next);
      const character = escapedCharacter(text, next, end);
      if (character === undefined) throw unexpectedInString(reader, next);
      result += character;
      next = end;
      from = end;
    } else if (code === QUOTE) {
      reader.at = next + 1;
      return (result + text.slice(from, next)).replace(LONE_SURROGATES, '\ufffd');
    } else if (code >= 0x20) {
      next++;
    } else {
      throw unexpectedInString(reader, next);
    }
  }
}

function escapeEnd(text: string, at: number): number {
  return at + (text.charCodeAt(at + 1) === LETTER_U ? 6 : 2);
}

function escapedCharacter(text: string, at: number, end: number): string | undefined {
  if (end - at === 2) return ESCAPES.get(text.charAt(at + 1));
  const digits = text.slice(at + 2, end);
  return FOUR_HEX_DIGITS.test(digits) ? String.fromCharCode(Number.parseInt(digits, 16)) : undefined;
}

/** Moves past white space and returns the code of the next character, NaN at the end. */
function skipSpace(reader: Reader): number {
  for (;;) {
    const code = reader.text.charCodeAt(reader.at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
    reader.at++;
  }
}

function unexpected(reader: Reader, expected: string): JsonError {
  const found = reader.at < reader.text.length ? JSON.stringify(reader.text.charAt(reader.at)) : 'the end';
  return new JsonError(`expected ${expected} at character ${reader.at + 1}, found ${found}`);
}

function unexpectedInString(reader: Reader, at: number): JsonError {
  reader.at = at;
  return unexpected(reader, 'a valid character or escape in a string');
}
