import { Argument, Option } from 'commander';
import type { EraseFlags, PruneFlags } from '../command-flags.js';
import { WHEN_HELP } from '../when.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { digestText, pointInTime } from './option-values.js';

const GROUP = 'Upkeep:';
const REMOVE_DAMAGED_LOGS = '--remove-damaged-logs';
const REMOVE_DAMAGED_LOGS_HELP =
  'also remove damaged logs that `imagelog rebuild` put aside; they may hold the same bytes';

/** Declares `erase` and `prune`. */
export function addErasingCommands(declaration: Declaration): void {
  addErase(declaration);
  addPrune(declaration);
}

function addErase(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'erase',
    group: GROUP,
    summary: 'remove bytes that nothing needs, for good',
    about:
      'Of a config, a manifest, an index or a layer that nothing in the store needs: remove its images first. The bytes leave the disk and cannot be read any more, also in ' +
      'the past; that they were there stays in the log and can be proved. --reason must be given. Refused while a damaged log is there that may hold the bytes too.',
    kind: 'writes',
    examples: [
      [
        'imagelog erase --reason "leaked" sha256:6351c87e3f654b3b79dd7d970a728b2bdb406143e60999400ba4be02e1c0a16e',
        'erase the config of an image that was removed',
      ],
      [
        'imagelog erase --actor ana --reason "ticket 7" sha256:6351c87e3f654b3b79dd7d970a728b2bdb406143e60999400ba4be02e1c0a16e',
        'say who wants it; `imagelog log --type ContentErased` shows it',
      ],
    ],
  });
  command
    .addArgument(new Argument('<digest>', 'the whole digest, with sha256:').argParser(digestText))
    .option(REMOVE_DAMAGED_LOGS, REMOVE_DAMAGED_LOGS_HELP)
    .action((digest: string, flags: EraseFlags) =>
      declaration.actions.erase(contextFor(declaration, command), digest, flags),
    );
}

function addPrune(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'prune',
    group: GROUP,
    summary: 'free what nothing needs any more',
    about:
      'Shows the configs, manifests and indexes of images that were removed, and layers that nothing uses. Only with --yes are they ' +
      'erased, as `imagelog erase` does. What was needed after WHEN stays, so that the past from there on stays readable; by ' +
      `default all goes that is not needed now. ${WHEN_HELP}`,
    kind: 'writes',
    examples: [
      ['imagelog prune', 'show what is not needed any more, and free nothing'],
      ['imagelog prune --before 30d --yes', 'free what nothing has needed for 30 days'],
      ['imagelog prune --json | jq -s "map(.size // 0) | add"', 'count the bytes'],
    ],
  });
  command
    .addOption(
      new Option('--before <when>', 'what was needed after this point in time stays').argParser(
        pointInTime(declaration.io.now),
      ),
    )
    .option('--yes', 'do it')
    .option(REMOVE_DAMAGED_LOGS, REMOVE_DAMAGED_LOGS_HELP)
    .action((flags: PruneFlags) => declaration.actions.prune(contextFor(declaration, command), flags));
}
