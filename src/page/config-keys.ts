import { MAX_CONFIG_BYTES } from '../limits.js';
import { isJsonArray, quoteJson } from '../model/go-json/codecs.js';
import { type JsonObject, type JsonValue, parseJson } from '../model/go-json/parse.js';

/** Said elsewhere: by the layers and the build steps. */
const LEFT_OUT: ReadonlySet<string> = new Set(['rootfs', 'history']);

/**
 * Returns every value of a config by its path, as jq writes it (`config.Env.PATH`), in order, but for
 * layers and history. Numbers are as they are written. Variables of `Env` are taken apart; other lists are JSON.
 * @throws {JsonError} for what is not JSON
 */
export function configKeys(bytes: Uint8Array): Map<string, string> {
  const keys = new Map<string, string>();
  const config = parseJson(bytes, { maxNumberLength: MAX_CONFIG_BYTES });
  for (const [key, value] of entriesOf(config)) if (!LEFT_OUT.has(key)) addKeys(keys, key, value);
  return keys;
}

function addKeys(keys: Map<string, string>, path: string, value: JsonValue): void {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (isObject(value) && value.keys.length > 0) {
    for (const [key, each] of entriesOf(value)) addKeys(keys, `${path}.${key}`, each);
  } else if (name === 'Env' && Array.isArray(value)) {
    for (const each of value as readonly JsonValue[]) addVariable(keys, path, each);
  } else keys.set(path, typeof value === 'string' ? value : jsonText(value));
}

function addVariable(keys: Map<string, string>, path: string, value: JsonValue): void {
  const text = typeof value === 'string' ? value : jsonText(value);
  const at = text.indexOf('=');
  keys.set(`${path}.${at === -1 ? text : text.slice(0, at)}`, at === -1 ? '' : text.slice(at + 1));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'object';
}

function entriesOf(value: JsonValue): [string, JsonValue][] {
  return isObject(value) ? value.keys.map((key, at) => [key, value.values[at] ?? null]) : [];
}

function jsonText(value: JsonValue): string {
  if (typeof value === 'string') return quoteJson(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (isJsonArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (!isObject(value)) return value.text;
  return `{${entriesOf(value)
    .map(([key, each]) => `${quoteJson(key)}:${jsonText(each)}`)
    .join(',')}}`;
}
