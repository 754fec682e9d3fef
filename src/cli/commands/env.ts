import type { Command } from 'commander';
import { join } from 'node:path';
import { loadCode } from '../../errors.js';
import type { Grammar } from '../command.js';
import { configOrigins, configPath, nonEmpty, serveVariable, settings, utcOf } from '../settings.js';
import { type CommandContext, writeJson } from '../context.js';
import { systemTimeZone } from '../../model/time-zone.js';
import { option } from '../option-values.js';
import { pagerCommand } from '../pager.js';
import { printable } from '../../model/texts.js';
import { type Column, tableLines } from '../render/table.js';

/** `imagelog env`: lists every setting, its value and where it comes from. */
export const envGrammar: Grammar = (_, command) => ({
  about:
    `An option goes before a variable, a variable before the configuration file, and that before the default. The file ` +
    `has lines of KEY = VALUE; the keys are ${settings.map(({ key }) => key).join(', ')}, and those of serve. It is ` +
    '$IMAGELOG_CONFIG, else $XDG_CONFIG_HOME/imagelog/config, else ~/.config/imagelog/config. Of the settings of serve ' +
    'those are listed that are set; all of them with --serve.',
  examples: [
    ['imagelog env', 'show which store is meant, who writes to it, and why'],
    ['imagelog env --json | jq \'select(.name == "store").value\'', 'take one value'],
  ],
  options: [option('--serve', 'the settings of `imagelog serve`')],
  action: async (context: CommandContext, { serve = false }: { readonly serve?: boolean }) => {
    const ofServe = await serveRows(context, { all: serve });
    const rows = serve ? ofServe : [...(await rowsOf(context, command)), ...ofServe];
    if (context.json) for (const row of rows) await writeJson(context, row);
    else await table(context, rows);
  },
});

/** A setting as it is in use. */
interface Row {
  readonly name: string;
  readonly value: string | null;
  readonly from: 'option' | 'variable' | 'file' | 'default';
  /** The option, the variable, or the path and line of the file; null for a default. */
  readonly source: string | null;
  /** What else sets it, first what goes before. */
  readonly setBy: readonly string[];
}

async function rowsOf(context: CommandContext, command: Command): Promise<Row[]> {
  const { io, directory, write, keyFile, waitMs } = context;
  const { env } = io;
  const { defaultActor } = await loadCode('of an open store', import('../../store/open/default-actor.js'));
  const row = rowMaker(context, command);
  return [
    row('store', directory, '--store', ['IMAGELOG_STORE'], ['XDG_DATA_HOME']),
    row('host', hostOf(context, command), '--host', ['IMAGELOG_HOST']),
    row('actor', write.actor ?? defaultActor(), '--actor', ['IMAGELOG_ACTOR']),
    row('key', keyFile ?? null, '--key', ['IMAGELOG_KEY']),
    row('wait', waitMs % 1_000 === 0 ? `${waitMs / 1_000}s` : `${waitMs}ms`, '--wait', ['IMAGELOG_WAIT']),
    row('color', colorChoice(context, command), '--no-color', ['NO_COLOR', 'FORCE_COLOR'], isDumb(env) ? ['TERM'] : []),
    row('pager', isTyped(command, 'pager') ? null : (pagerCommand(env) ?? null), '--no-pager', [
      'IMAGELOG_PAGER',
      'PAGER',
    ]),
    row('utc', utcOf(env) || isTyped(command, 'utc') ? 'yes' : 'no', '--utc', ['IMAGELOG_UTC']),
    row('time zone', io.timeZone ?? systemTimeZone(), undefined, [], ['TZ']),
    row('config file', configPath(env) ?? null, undefined, [], ['IMAGELOG_CONFIG', 'XDG_CONFIG_HOME', 'HOME']),
    row('code cache', cacheFolder(env), undefined, [], ['XDG_CACHE_HOME', 'HOME']),
    row('stack traces', env['IMAGELOG_DEBUG'] ? 'yes' : 'no', undefined, ['IMAGELOG_DEBUG']),
  ];
}

/** The server that is named; one that holds the store needs no name. */
function hostOf({ io: { env } }: CommandContext, command: Command): string | null {
  const levels = [command, ...(command.parent === null ? [] : [command.parent])];
  const typed = levels
    .map((level) => level.opts<{ readonly host?: string | false }>().host)
    .find((each) => each !== undefined);
  return typed === false ? null : (typed ?? nonEmpty(env['IMAGELOG_HOST']) ?? null);
}

async function serveRows({ io: { env } }: CommandContext, { all }: { readonly all: boolean }): Promise<Row[]> {
  const { madeSettings } = await loadCode('of the settings of serve', import('../serve-settings.js'));
  return [...madeSettings(env, {}).values()].flatMap(({ setting: { name }, values, source }) => {
    if (source === undefined && !all) return [];
    const from = source === undefined ? 'default' : source.startsWith('$') ? 'variable' : 'file';
    const setBy = [`--${name}`, `$${serveVariable(name)}`, `serve.${name} =`];
    const value = values.length === 0 ? null : values.join(' ');
    return [{ name: `serve.${name}`, value, from, source: source ?? null, setBy }];
  });
}

type RowMaker = (
  name: string,
  value: string | null,
  option: string | undefined,
  variables: readonly string[],
  /** Variables of others that the default depends on. */
  others?: readonly string[],
) => Row;

function rowMaker({ io: { env } }: CommandContext, command: Command): RowMaker {
  const isSet = (name: string): boolean => nonEmpty(env[name]) !== undefined;
  return (name, value, option, variables, others = []) => {
    const isInFile = settings.some(({ key }) => key === name);
    const known = [...command.options, ...(command.parent?.options ?? [])].some(({ long }) => long === option);
    const setBy = [
      ...(known && option !== undefined ? [option] : []),
      ...[...variables, ...others].map((variable) => `$${variable}`),
      ...(isInFile ? [`${name} =`] : []),
    ];
    const origin = configOrigins(env).get(name);
    const variable = [...variables, ...others].find(isSet);
    if (option !== undefined && isTyped(command, optionName(option)))
      return { name, value, from: 'option', source: option, setBy };
    if (origin !== undefined) return { name, value, from: 'file', source: origin, setBy };
    if (variable !== undefined) return { name, value, from: 'variable', source: `$${variable}`, setBy };
    return { name, value, from: 'default', source: null, setBy };
  };
}

function optionName(flag: string): string {
  return flag.replace(/^--(?:no-)?/, '');
}

function isDumb(env: CommandContext['io']['env']): boolean {
  return env['TERM'] === 'dumb';
}

/** Whether an option was typed, before the command's name or after it. */
function isTyped(command: Command, name: string): boolean {
  const levels = [command, ...(command.parent === null ? [] : [command.parent])];
  return levels.some((level) => level.getOptionValueSource(name) === 'cli');
}

function colorChoice({ io: { env } }: CommandContext, command: Command): string {
  if (isTyped(command, 'color') || nonEmpty(env['NO_COLOR']) !== undefined) return 'never';
  const forced = nonEmpty(env['FORCE_COLOR']);
  if (forced !== undefined && forced !== '0') return 'always';
  return isDumb(env) ? 'never' : 'auto';
}

// As the entry has it, for Node 22 and newer.
function cacheFolder(env: CommandContext['io']['env']): string | null {
  const home = nonEmpty(env['HOME']);
  const folder = nonEmpty(env['XDG_CACHE_HOME']) ?? (home === undefined ? undefined : join(home, '.cache'));
  return folder === undefined ? null : join(folder, 'imagelog');
}

async function table({ out, colors, quiet }: CommandContext, rows: readonly Row[]): Promise<void> {
  if (quiet) {
    for (const { name, value } of rows) await out.line(printable(`${name}=${value ?? ''}`));
    return;
  }
  const columns: Column[] = [
    { title: 'SETTING' },
    { title: 'VALUE', shrinksTo: 16 },
    { title: 'FROM', shrinksTo: 16 },
    { title: 'SET BY', goes: 1, paint: colors.dim },
  ];
  const cells = rows.map(({ name, value, from, source, setBy }) => [
    name,
    value ?? '-',
    // The row of the file has its path.
    from === 'file' ? `config file, line ${source?.split(':').at(-1)}` : (source ?? 'default'),
    setBy.join(', '),
  ]);
  for (const line of tableLines(columns, cells, { colors, width: out.columns })) await out.line(line);
}
