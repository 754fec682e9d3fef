import { type Command, Option } from 'commander';
import type { LogFlags } from '../command-flags.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { digestText, eventTypeNames, nonEmptyText, pointInTime, referenceName, wholeNumber } from './option-values.js';

const GROUP = 'Log:';

/** Declares `log` and `stats`. */
export function addLogCommands(declaration: Declaration): void {
  addLog(declaration);
  addStats(declaration);
}

function addLog(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'log',
    group: GROUP,
    summary: 'show what happened',
    about:
      'WHEN is an event (12 or #12), so long ago (2h, 1d12h), a date, RFC 3339, or now; what has no zone is UTC. ' +
      'A date is its beginning as --since, its end as --until. ' +
      '--follow gives what there is, then waits for what other processes write, until Ctrl-C or --limit.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog log --since 2h', 'show the last two hours'],
      ['imagelog log --reference shop/app:prod --reverse --limit 1', 'who moved it last?'],
      [
        'imagelog log --type ReferenceSet,ReferenceRemoved --actor ci@build-7',
        'every tag that one actor set or removed',
      ],
      ['imagelog log --image cb4c372bec4c', 'the life of one image, even of one that was deleted'],
      ['imagelog log --since 2026-01-01 --until 2026-01-31 --json', 'a month for a program'],
      ['imagelog log --follow --from 1 --json', 'everything that ever happened, and then what does'],
      ['imagelog log --follow --since now --format cloudevents', 'give what happens from now on to another service'],
    ],
  });
  addSelection(command, declaration)
    .option('--reverse', 'the newest first')
    .addOption(new Option('-n, --limit <count>', 'at most so many events').argParser(wholeNumber(1)))
    .option('--follow', 'then wait for more')
    .addOption(
      new Option('--format <format>', 'table, one JSON object a line, or CloudEvents 1.0').choices([
        'table',
        'json',
        'cloudevents',
      ]),
    )
    .action((flags: LogFlags) => declaration.actions.log(contextFor(declaration, command), flags));
}

function addSelection(command: Command, { io }: Declaration): Command {
  return command
    .option('--image <name>', 'events of this image: a reference, an id or its first digits')
    .addOption(new Option('--reference <reference>', 'events of this reference').argParser(referenceName))
    .addOption(new Option('--chain <id>', 'events of this chain of layers').argParser(digestText))
    .addOption(new Option('--actor <name>', 'events by this actor').argParser(nonEmptyText))
    .addOption(new Option('--type <types>', 'events of these kinds, separated by commas').argParser(eventTypeNames))
    .addOption(new Option('--since <when>', 'from this point in time on').argParser(pointInTime(io.now)))
    .addOption(new Option('--until <when>', 'up to this point in time').argParser(pointInTime(io.now)))
    .addOption(new Option('--from <seq>', 'from this position on').argParser(wholeNumber(1)))
    .addOption(new Option('--to <seq>', 'up to this position').argParser(wholeNumber(1)));
}

function addStats(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'stats',
    group: GROUP,
    summary: 'count what is in the store',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog stats', 'count images, references, layers and events'],
      ['imagelog stats --json | jq .blobBytes', 'take one number'],
    ],
  });
  command.action(() => declaration.actions.stats(contextFor(declaration, command)));
}
