import { Argument } from 'commander';
import type { When } from '../../store/past/audit.js';
import { WHEN_HELP } from '../when.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { pointInTime } from './option-values.js';

/** Heading in help of the commands that look back. */
export const PAST_GROUP = 'The past:';

/** Declares `diff`. */
export function addDiff(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'diff',
    group: PAST_GROUP,
    summary: 'show what changed between two moments',
    about:
      `What was added (+), removed (−) or changed (~), with the event that did it. What came and went in between is not shown. ` +
      WHEN_HELP,
    kind: 'reads',
    examples: [
      ['imagelog diff 2h', 'what changed in the last two hours'],
      ['imagelog diff 2026-01-30 2026-01-31', 'what changed on the 31st'],
      ['imagelog diff "#1200" "#1260"', 'what 60 events changed'],
      [
        'imagelog diff --json 1d | jq -r "select(.kind == \\"reference\\").key"',
        'the names that moved since yesterday',
      ],
    ],
  });
  const { now } = declaration.io;
  command
    .addArgument(new Argument('<from>', 'the earlier WHEN').argParser(pointInTime(now)))
    .addArgument(new Argument('[to]', 'the later WHEN, by default now').argParser(pointInTime(now)))
    .action((from: When, to: When | undefined) =>
      declaration.actions.diff(contextFor(declaration, command), from, to ?? 'now'),
    );
}
