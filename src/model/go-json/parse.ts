import { MAX_JSON_DEPTH, MAX_JSON_NUMBER_LENGTH, MAX_JSON_VALUES } from '../../limits.js';
import { finished } from '../steps.js';

/** A JSON number as text, to preserve 64-bit integers. */
export interface JsonNumber {
  readonly kind: 'number';
  readonly text: string;
}

/** A JSON object with repeated keys, in order: `keys[n]` belongs to `values[n]`. */
export interface JsonObject {
  readonly kind: 'object';
  readonly keys: readonly string[];
  readonly values: readonly JsonValue[];
}

/** A JSON value, lossless but for white space and string escapes. */
export type JsonValue = null | boolean | string | JsonNumber | JsonObject | readonly JsonValue[];

/** Error of malformed or unexpected JSON. Callers wrap it in their own StoreError code. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  /** The message without the location. */
  readonly problem: string;
  /** Field names from the top down, joined by dots; empty for the top or a syntax error. */
  readonly path: string;

  constructor(problem: string, path = '') {
    super(path === '' ? problem : `${path}: ${problem}`);
    this.problem = problem;
    this.path = path;
  }
}

/** Error of a text that exceeds a limit on nesting, values or numbers; it may be valid JSON. */
export class JsonLimitError extends JsonError {}

/** Prepends `name` to the path of a JsonError; returns other errors unchanged. */
export function withinField(name: string, error: unknown): unknown {
  if (!(error instanceof JsonError)) return error;
  return new JsonError(error.problem, error.path === '' ? name : `${name}.${error.path}`);
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const utf16Decoder = new TextDecoder('utf-16le', { ignoreBOM: true });
const REPLACEMENT = 0xfffd;

/**
 * Decodes UTF-8 like Go: every invalid byte becomes one U+FFFD, whereas the platform's decoder
 * gives one per truncated sequence. Keeps a byte order mark.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  // Valid input may contain U+FFFD; a second pass is rare and harmless.
  return text.includes('\ufffd') ? decodeByteByByte(bytes) : text;
}

function decodeByteByByte(bytes: Uint8Array): string {
  // Decoded at once: joining pieces takes ten times as long for millions of invalid bytes.
  const units = new DataView(new ArrayBuffer(2 * bytes.length));
  let end = 0;
  const add = (unit: number): void => {
    units.setUint16(end, unit, true);
    end += 2;
  };
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const code = length === 0 ? REPLACEMENT : codePointAt(bytes, at, length);
    if (code < 0x10000) {
      add(code);
    } else {
      add(0xd7c0 + (code >> 10));
      add(0xdc00 + (code & 0x3ff));
    }
    at += length === 0 ? 1 : length;
  }
  return utf16Decoder.decode(units.buffer.slice(0, end));
}

/** Length of the valid sequence at `at` (Unicode standard, table 3-7), 0 if none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (let n = 1; n < length; n++) {
    const byte = bytes[at + n] ?? 0;
    const low = n > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = n > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return 0;
  }
  return length;
}

function codePointAt(bytes: Uint8Array, at: number, length: number): number {
  const lead = bytes[at] ?? 0;
  if (length === 1) return lead;
  let code = lead & (0xff >> (length + 1));
  for (let n = 1; n < length; n++) code = (code << 6) | ((bytes[at + n] ?? 0) & 0x3f);
  return code;
}

interface Reader {
  readonly text: string;
  readonly maxDepth: number;
  readonly maxValues: number;
  readonly maxNumberLength: number;
  at: number;
  /** Values begun so far. */
  values: number;
}

/** Limits of a JSON text. */
export interface JsonLimits {
  /** Nesting of arrays and objects; default MAX_JSON_DEPTH. */
  readonly maxDepth?: number | undefined;
  /** Values at all depths; default MAX_JSON_VALUES. */
  readonly maxValues?: number | undefined;
  /** Characters of a number; default MAX_JSON_NUMBER_LENGTH. */
  readonly maxNumberLength?: number | undefined;
}

interface Open {
  /** Keys of an object so far. */
  readonly keys: string[] | undefined;
  readonly values: JsonValue[];
}

/** Values between pauses: a tenth of a millisecond. */
const VALUES_PER_STEP = 500;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPED = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;
const LONE_SURROGATES = /\p{Surrogate}/gu;
/**
 * Parses one JSON value like Go's encoding/json: strict RFC 8259 syntax, no byte order mark;
 * invalid UTF-8 and lone surrogates become U+FFFD. Unlike `JSON.parse`, preserves repeated keys and
 * digits. Linear time; stops at the first value beyond `limits`.
 * @throws {JsonError} for wrong syntax
 * @throws {JsonLimitError} for nesting too deep, too many values, or a number too long
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = {}): JsonValue {
  return finished(parseJsonSteps(bytes, limits));
}

/** Like `parseJson`, pausing every thousand values or so. */
export function* parseJsonSteps(bytes: Uint8Array, limits: JsonLimits = {}): Generator<undefined, JsonValue> {
  const { maxDepth = MAX_JSON_DEPTH, maxValues = MAX_JSON_VALUES, maxNumberLength = MAX_JSON_NUMBER_LENGTH } = limits;
  const reader: Reader = { text: decodeUtf8(bytes), maxDepth, maxValues, maxNumberLength, at: 0, values: 0 };
  const value = yield* readValues(reader);
  skipSpace(reader);
  if (reader.at < reader.text.length) throw unexpected(reader, 'the end');
  return value;
}

/** Reads a value without recursion: nested generators would be slow. */
function* readValues(reader: Reader): Generator<undefined, JsonValue> {
  const open: Open[] = [];
  for (;;) {
    countValue(reader);
    if (reader.values % VALUES_PER_STEP === 0) yield;
    let value = beginValue(reader, open);
    if (value === undefined) continue;
    for (let inside = open.at(-1); ; inside = open.at(-1)) {
      if (inside === undefined) return value;
      inside.values.push(value);
      if (goesOn(reader, inside)) break;
      open.pop();
      value = closed(inside);
    }
  }
}

function countValue(reader: Reader): void {
  reader.values += 1;
  if (reader.values <= reader.maxValues) return;
  throw new JsonLimitError(`there are more than ${reader.maxValues} values at character ${reader.at + 1}`);
}

/** Reads a scalar, or the start of an array or object, pushed onto `open`. */
function beginValue(reader: Reader, open: Open[]): JsonValue | undefined {
  const first = skipSpace(reader);
  switch (first) {
    case QUOTE:
      return readString(reader);
    case OPEN_OBJECT:
    case OPEN_ARRAY:
      return openValue(reader, open, { keys: first === OPEN_OBJECT ? [] : undefined, values: [] });
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

function openValue(reader: Reader, open: Open[], opened: Open): JsonValue | undefined {
  if (open.length >= reader.maxDepth) {
    throw new JsonLimitError(
      `arrays and objects are nested deeper than ${reader.maxDepth} at character ${reader.at + 1}`,
    );
  }
  reader.at++;
  if (skipSpace(reader) === (opened.keys === undefined ? CLOSE_ARRAY : CLOSE_OBJECT)) {
    reader.at++;
    return closed(opened);
  }
  if (opened.keys !== undefined) readKey(reader, opened.keys);
  open.push(opened);
  return undefined;
}

function closed({ keys, values }: Open): JsonValue {
  return keys === undefined ? values : { kind: 'object', keys, values };
}

/** Reads a comma and the next key, or the closing bracket. */
function goesOn(reader: Reader, { keys }: Open): boolean {
  const next = skipSpace(reader);
  if (next !== COMMA && next !== (keys === undefined ? CLOSE_ARRAY : CLOSE_OBJECT)) {
    throw unexpected(reader, keys === undefined ? '"," or "]" in an array' : '"," or "}" in an object');
  }
  reader.at++;
  if (next === COMMA && keys !== undefined) readKey(reader, keys);
  return next === COMMA;
}

function readKey(reader: Reader, keys: string[]): void {
  if (skipSpace(reader) !== QUOTE) throw unexpected(reader, 'a key in double quotes');
  keys.push(readString(reader));
  if (skipSpace(reader) !== COLON) throw unexpected(reader, '":" after the key');
  reader.at++;
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
  if (text.length > reader.maxNumberLength) {
    throw new JsonLimitError(
      `a number has more than ${reader.maxNumberLength} characters at character ${reader.at + 1}`,
    );
  }
  reader.at += text.length;
  return { kind: 'number', text };
}

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
    // Past the end the code is NaN: this comparison fails too.
    if (!(code >= 0x20)) throw unexpectedInString(reader, at);
  }
}

/** Reads the rest of a string, from its first escape at `at`. */
function readEscapedString(reader: Reader, start: number, at: number): string {
  const { text } = reader;
  for (let next = at; ; next++) {
    const code = text.charCodeAt(next);
    if (code === BACKSLASH) {
      ESCAPED.lastIndex = next + 1;
      if (!ESCAPED.test(text)) throw unexpectedInString(reader, next);
      next = ESCAPED.lastIndex - 1;
    } else if (code === QUOTE) {
      reader.at = next + 1;
      // JSON.parse builds a validated string ten times as fast.
      const string: string = JSON.parse(text.slice(start - 1, next + 1));
      return string.replace(LONE_SURROGATES, '\ufffd');
    } else if (!(code >= 0x20)) {
      throw unexpectedInString(reader, next);
    }
  }
}

/** Skips white space and returns the next character's code, NaN at the end. */
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
