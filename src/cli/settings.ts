import { isAbsolute, join } from 'node:path';
import { UsageError } from './exit-codes.js';
import type { CliIo } from './output.js';

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
