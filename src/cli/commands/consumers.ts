import type { When } from '../../store/past/audit.js';
import type { CommandEntry, Grammar } from '../command.js';
import { answer, type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { option, pointInTime, WHEN_HELP } from '../option-values.js';
import { type Column, tableLines } from '../render/table.js';
import { printable, utcText } from '../../model/texts.js';
import { timeColumn } from '../render/times.js';

/** `imagelog consumers`: lists named subscribers and their positions. */
export const consumersGrammar: Grammar = () => ({
  about:
    'A consumer is a named subscriber of a program; its position is kept in the store. BEHIND counts the events after it ' +
    'that pass its filter; `imagelog log --consumer NAME` shows them.',
  examples: [
    ['imagelog consumers', 'list them with their positions'],
    ["imagelog consumers --json | jq 'select(.behind > 1000).name'", 'name those that are far behind'],
  ],
  commands: BELOW,
  action: consumers,
});

const resetGrammar: Grammar = ({ io }) => ({
  about: `It continues with the first event after WHEN, by default from the beginning of the log. ${WHEN_HELP}`,
  examples: [
    ['imagelog consumers reset mirror@1', 'give it everything again'],
    ['imagelog consumers reset mirror@1 --to 2h', 'give it the last two hours again'],
    ['imagelog consumers reset mirror@1 --to now', 'skip what it has not seen yet'],
  ],
  arguments: [['the name of the consumer']],
  options: [option('--to <when>', 'what is up to here is done with', pointInTime(io))],
  action: resetConsumer,
});

const rmGrammar: Grammar = () => ({
  about: 'A program that takes the name again starts with the first event.',
  examples: [
    ['imagelog consumers rm mirror@1', 'forget the old version of a subscriber'],
    ['imagelog consumers rm mirror@1 --quiet', 'the same without a word'],
  ],
  arguments: [['the name of the consumer']],
  action: removeConsumer,
});

const BELOW: readonly CommandEntry[] = [
  {
    usage: 'reset <name>',
    group: 'Commands:',
    summary: 'make a consumer continue from another place',
    may: 'admin',
    load: async () => resetGrammar,
  },
  { usage: 'rm <name>', group: 'Commands:', summary: 'forget a consumer', may: 'admin', load: async () => rmGrammar },
];

async function consumers(context: CommandContext): Promise<void> {
  await using store = await openFor(context, 'read');
  const { out, colors, timeZone, json, quiet } = context;
  const states = await store.consumers();
  if (json) {
    for (const { name, position, behind, atLeast, filter, updatedAt } of states) {
      await writeJson(context, {
        name,
        position,
        behind,
        atLeast,
        filter,
        updatedAt: updatedAt === undefined ? null : utcText(updatedAt),
      });
    }
    return;
  }
  if (quiet) {
    for (const { name } of states) await out.line(printable(name));
    return;
  }
  const times = timeColumn(
    'UPDATED',
    states.flatMap(({ updatedAt }) => updatedAt ?? []),
    timeZone,
  );
  const columns: Column[] = [
    { title: 'CONSUMER', shrinksTo: 12 },
    { title: 'POSITION', align: 'right' },
    { title: 'BEHIND', align: 'right' },
    { title: times.title, goes: 1, paint: colors.dim },
  ];
  const rows = states.map(({ name, position, behind, atLeast, updatedAt }) => [
    name,
    String(position),
    atLeast === true ? `at least ${behind}` : String(behind),
    updatedAt === undefined ? '-' : times.seconds(updatedAt),
  ]);
  for (const line of tableLines(columns, rows, { colors, width: out.columns })) await out.line(line);
}

/** `imagelog consumers reset`: moves a consumer to a point in time, by default the beginning. */
async function resetConsumer(context: CommandContext, name: string, { to = 0 }: { readonly to?: When }): Promise<void> {
  await using store = await openFor(context, 'write');
  const { seq: position } = await store.pointAt(to, { timeZone: context.timeZone });
  await store.resetConsumer(name, position);
  await answer(context, { name, position }, `${printable(name)} continues with event ${position + 1}`);
}

/** `imagelog consumers rm`: removes a consumer. */
async function removeConsumer(context: CommandContext, name: string): Promise<void> {
  await using store = await openFor(context, 'write');
  await store.removeConsumer(name);
  await answer(context, { removed: name }, `removed ${printable(name)}`);
}
