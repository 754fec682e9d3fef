import { Option } from 'commander';
import type { When } from '../../store/past/audit.js';
import { WHEN_HELP } from '../when.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { pointInTime } from './option-values.js';

const GROUP = 'Log:';

/** Declares `consumers` with `consumers reset` and `consumers rm`. */
export function addConsumerCommands(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'consumers',
    group: GROUP,
    summary: 'list who follows the log, and how far',
    about:
      'A consumer is a named subscriber of a program; its position is kept in the store. BEHIND counts the events after it, ' +
      'whether or not it wants them.',
    kind: 'reads',
    examples: [
      ['imagelog consumers', 'list them with their positions'],
      ["imagelog consumers --json | jq 'select(.behind > 1000).name'", 'name those that are far behind'],
    ],
  });
  command.action(() => declaration.actions.consumers(contextFor(declaration, command)));
  const below = { ...declaration, program: command };
  addReset(below);
  addRm(below);
}

function addReset(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'reset',
    group: 'Commands:',
    summary: 'make a consumer go on from another place',
    about: `It goes on with the first event after WHEN, by default from the beginning of the log. ${WHEN_HELP}`,
    kind: 'reads',
    examples: [
      ['imagelog consumers reset mirror@1', 'give it everything again'],
      ['imagelog consumers reset mirror@1 --to 2h', 'give it the last two hours again'],
      ['imagelog consumers reset mirror@1 --to now', 'skip what it has not seen yet'],
    ],
  });
  command
    .argument('<name>', 'the name of the consumer')
    .addOption(new Option('--to <when>', 'what is up to here is done with').argParser(pointInTime(declaration.io.now)))
    .action((name: string, flags: { readonly to?: When }) =>
      declaration.actions['consumers reset'](contextFor(declaration, command), name, flags),
    );
}

function addRm(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'rm',
    group: 'Commands:',
    summary: 'forget a consumer',
    about: 'A program that takes the name again begins anew.',
    kind: 'reads',
    examples: [
      ['imagelog consumers rm mirror@1', 'forget the old version of a subscriber'],
      ['imagelog consumers rm mirror@1 --quiet', 'the same without a word'],
    ],
  });
  command
    .argument('<name>', 'the name of the consumer')
    .action((name: string) => declaration.actions['consumers rm'](contextFor(declaration, command), name));
}
