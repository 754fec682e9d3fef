import { isAbsolute, join } from 'node:path';
import { UsageError } from './exit-codes.js';
import type { CliIo } from './output.js';
import { readFileSync } from 'node:fs';
import { MAX_SETTINGS_FILE_BYTES } from '../limits.js';

/* What a user sets for every command: by option, else environment, else configuration file. */

type Environment = CliIo['env'];

/** A setting. Each has a key in the configuration file and variables that go before it. */
interface Setting {
  readonly key: string;
  /** Variables that set it, in order of precedence. */
  readonly variables: readonly string[];
  /** Returns what is expected instead of `value`; undefined if it is valid. */
  readonly expected: (value: string) => string | undefined;
  /** The variable and its text that do what `value` in the file asks for; undefined for none. */
  readonly asVariable: (value: string, home: string | undefined) => readonly [name: string, text: string] | undefined;
}

const COLORS: Readonly<Record<string, readonly [string, string] | undefined>> = {
  auto: undefined,
  always: ['FORCE_COLOR', '1'],
  never: ['NO_COLOR', '1'],
};

/** Whether a text means yes; undefined for neither yes nor no. */
const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ['yes', true],
  ['true', true],
  ['on', true],
  ['1', true],
  ['no', false],
  ['false', false],
  ['off', false],
  ['0', false],
]);

const anyText = (): undefined => undefined;

/** All settings of the configuration file. */
export const settings: readonly Setting[] = [
  {
    key: 'store',
    variables: ['IMAGELOG_STORE'],
    expected: (value) => (isAbsolute(value) || value.startsWith('~/') ? undefined : 'an absolute path, or one from ~/'),
    asVariable: (value, home) => ['IMAGELOG_STORE', value.startsWith('~/') ? join(home ?? '/', value.slice(2)) : value],
  },
  { key: 'actor', variables: ['IMAGELOG_ACTOR'], expected: anyText, asVariable: (value) => ['IMAGELOG_ACTOR', value] },
  {
    key: 'wait',
    variables: ['IMAGELOG_WAIT'],
    expected: (value) => (parseWait(value) === undefined ? 'a time like 30s or 2m, or 0' : undefined),
    asVariable: (value) => ['IMAGELOG_WAIT', value],
  },
  {
    key: 'color',
    variables: ['NO_COLOR', 'FORCE_COLOR'],
    expected: (value) => (Object.hasOwn(COLORS, value) ? undefined : 'auto, always or never'),
    asVariable: (value) => COLORS[value],
  },
  {
    key: 'pager',
    variables: ['IMAGELOG_PAGER'],
    expected: anyText,
    asVariable: (value) => ['IMAGELOG_PAGER', value],
  },
  {
    key: 'utc',
    variables: ['IMAGELOG_UTC'],
    expected: (value) => (SWITCHES.has(value) ? undefined : 'yes or no'),
    asVariable: (value) => ['IMAGELOG_UTC', value],
  },
];

/** Default of `--wait`, in milliseconds. */
const DEFAULT_WAIT_MS = 30_000;

/** What `--wait` expects. */
export const WAIT_EXPECTED = 'It must be a time like 30s, 2m or 500ms, or 0.';

const WAIT_UNITS_MS: Readonly<Record<string, number>> = { '': 1_000, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Parses a time to wait, by default in seconds: `30s`, `2m`, `500ms`, `0`. In milliseconds. */
export function parseWait(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,9})(ms|[smh])?$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (WAIT_UNITS_MS[unit] ?? 0);
}

/** Returns how long to wait for a lock by `$IMAGELOG_WAIT`, in milliseconds. @throws {UsageError} */
export function waitOf(env: Environment): number {
  const text = nonEmpty(env['IMAGELOG_WAIT']);
  const waitMs = text === undefined ? DEFAULT_WAIT_MS : parseWait(text);
  if (waitMs !== undefined) return waitMs;
  throw new UsageError(`$IMAGELOG_WAIT is ${JSON.stringify(text)}, expected a time like 30s or 2m, or 0`);
}

/** Whether `$IMAGELOG_UTC` asks for times in UTC. @throws {UsageError} */
export function utcOf(env: Environment): boolean {
  const text = nonEmpty(env['IMAGELOG_UTC']);
  const isUtc = text === undefined ? false : SWITCHES.get(text);
  if (isUtc !== undefined) return isUtc;
  throw new UsageError(`$IMAGELOG_UTC is ${JSON.stringify(text)}, expected yes or no`);
}

/** Returns the variable of a setting of `imagelog serve`. */
export function serveVariable(name: string): string {
  return `IMAGELOG_SERVE_${name.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * Returns the path of the configuration file: `$IMAGELOG_CONFIG`, else (XDG Base Directory Specification)
 * `imagelog/config` in `$XDG_CONFIG_HOME` if absolute, else in `~/.config`. Undefined without both.
 */
export function configPath(env: Environment): string | undefined {
  const named = nonEmpty(env['IMAGELOG_CONFIG']);
  if (named !== undefined) return named;
  const folder = nonEmpty(env['XDG_CONFIG_HOME']);
  if (folder !== undefined && isAbsolute(folder)) return join(folder, 'imagelog', 'config');
  const home = nonEmpty(env['HOME']);
  return home === undefined ? undefined : join(home, '.config', 'imagelog', 'config');
}

/** Returns `text`, or undefined when it is empty: an unset variable. */
export function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

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
