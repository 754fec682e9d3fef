import { readFileSync } from 'node:fs';
import { MAX_SETTINGS_FILE_BYTES } from '../limits.js';
import { UsageError } from './exit-codes.js';
import type { CliIo } from './output.js';
import { configPath, nonEmpty, serveVariable, settings, utcOf } from './settings.js';

/** A line of the configuration file. */
interface ConfigLine {
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

/** As after `su`, which may keep $HOME. */
const PLACE_HINT = 'let this user read it, or name another folder in $HOME or $XDG_CONFIG_HOME';
const CONFIG_HINT = 'each line is KEY = VALUE; a line that begins with # is a comment';

/** Keys of `imagelog serve`, which checks them and their values: other commands need not know them. */
const SERVE_PREFIX = 'serve.';

type ConfigLines = ReadonlyMap<string, ConfigLine>;

/** Where the settings of the configuration file that are in use were made, by key: `PATH:LINE`. */
type Origins = ReadonlyMap<string, string>;

const originsOfEnv = new WeakMap<CliIo['env'], Origins>();

/** Without the settings of a file. */
const givenIo = new WeakMap<CliIo['env'], CliIo>();

/** Returns which settings the environment that `withConfig` made has from the file. */
export function configOrigins(env: CliIo['env']): Origins {
  return originsOfEnv.get(env) ?? new Map();
}

/**
 * Returns `io` with the settings of the configuration file in its environment, where no variable
 * sets them already, and in UTC if set so. With `file`, those of that file alone.
 * @throws {UsageError} naming the file and line that cannot be read
 */
export function withConfig(configured: CliIo, file?: string): CliIo {
  const io = givenIo.get(configured.env) ?? configured;
  const path = file ?? configPath(io.env);
  const isNamed = file !== undefined || nonEmpty(io.env['IMAGELOG_CONFIG']) !== undefined;
  const config = path === undefined ? new Map<string, ConfigLine>() : readConfig(path, isNamed);
  const env: Record<string, string | undefined> = { ...io.env };
  const origins = new Map<string, string>();
  for (const { key, variables, asVariable } of settings) {
    const { value, line } = config.get(key) ?? {};
    if (value === undefined || variables.some((name) => nonEmpty(env[name]) !== undefined)) continue;
    origins.set(key, `${path}:${line}`);
    const [name, text] = asVariable(value, nonEmpty(env['HOME'])) ?? [];
    if (name !== undefined) env[name] = text;
  }
  for (const [key, { value, line }] of config) {
    const variable = key.startsWith(SERVE_PREFIX) ? serveVariable(key.slice(SERVE_PREFIX.length)) : undefined;
    if (variable === undefined || nonEmpty(env[variable]) !== undefined) continue;
    origins.set(key, `${path}:${line}`);
    env[variable] = value;
  }
  originsOfEnv.set(env, origins);
  givenIo.set(env, io);
  const own = { env, timeZone: utcOf(env) ? 'UTC' : io.timeZone };
  // Copies getters as such: reading stdin opens the stream.
  return Object.defineProperties({} as CliIo, {
    ...Object.getOwnPropertyDescriptors(io),
    ...Object.getOwnPropertyDescriptors(own),
  });
}

function readConfig(path: string, isNamed: boolean): ConfigLines {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!isNamed && (code === 'ENOENT' || code === 'ENOTDIR')) return new Map();
    const why = code === 'EISDIR' ? 'it is a directory' : code;
    throw new UsageError(`cannot read the configuration ${path}: ${why}`, { hint: PLACE_HINT });
  }
  if (bytes.length > MAX_SETTINGS_FILE_BYTES) {
    throw new UsageError(`the configuration ${path} has more than ${MAX_SETTINGS_FILE_BYTES} bytes`, {
      hint: PLACE_HINT,
    });
  }
  return parseConfig(path, new TextDecoder().decode(bytes));
}

/**
 * Parses lines of `key = value`; empty ones and those that begin with `#` are skipped.
 * @throws {UsageError} naming file and line: no such key, given twice, not a value of its kind
 */
function parseConfig(path: string, text: string): ConfigLines {
  const config = new Map<string, ConfigLine>();
  for (const [at, raw] of text.split('\n').entries()) {
    const refuse = (why: string): UsageError => new UsageError(`${path}:${at + 1}: ${why}`, { hint: CONFIG_HINT });
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (/\p{Cc}/u.test(line.replaceAll('\t', ' '))) throw refuse('a control character');
    const [, key = '', value = ''] = /^([^=]*?)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key === '') throw refuse(`expected KEY = VALUE, got ${JSON.stringify(line)}`);
    const setting = settings.find((each) => each.key === key);
    if (setting === undefined && !key.startsWith(SERVE_PREFIX)) {
      const keys = settings.map((each) => each.key).join(', ');
      throw refuse(`no such key: ${JSON.stringify(key)}; the keys are ${keys}, and those of serve`);
    }
    if (config.has(key)) throw refuse(`${key} is set twice, first in line ${config.get(key)?.line}`);
    const expected = value === '' ? 'a value' : setting?.expected(value);
    if (expected !== undefined) throw refuse(`${key} is ${JSON.stringify(value)}, expected ${expected}`);
    config.set(key, { value, line: at + 1 });
  }
  return config;
}
