import { Option } from 'commander';
import type { RestoreFlags } from '../command-flags.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { nonEmptyText, repeated } from './option-values.js';

const GROUP = 'Upkeep:';

/** Declares `backup` and `restore`. */
export function addBackupCommands(declaration: Declaration): void {
  addBackup(declaration);
  addRestore(declaration);
}

function addBackup(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'backup',
    group: GROUP,
    summary: 'write the store to a directory of files',
    about:
      'The directory is a tlog-tiles log (C2SP), with content and layer files beside it, and any static web server can serve it. The next ' +
      'run writes only what is new, and removes what was erased. Until a run is done, the backup before it stands.',
    kind: 'signs',
    examples: [
      ['imagelog backup /mnt/backup/images', 'make a backup, or bring it up to date'],
      ['imagelog backup /mnt/backup/images --key log.key', 'the same, with a checkpoint that is signed'],
    ],
  });
  command
    .argument('<directory>', 'the directory of the backup')
    .action((directory: string) => declaration.actions.backup(contextFor(declaration, command), directory));
}

function addRestore(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'restore',
    group: GROUP,
    summary: 'make the store of a backup',
    about:
      'Verifies the whole backup, and then makes the store: the same events, images, names and layer files. The directory of the ' +
      'store must not be there. Positions of consumers are not in a backup.',
    kind: 'reads',
    examples: [
      ['imagelog restore /mnt/backup/images --store /srv/images', 'make the store anew'],
      [
        'imagelog restore /mnt/backup/images --against monday.checkpoint',
        'only if it holds what you kept a checkpoint of',
      ],
    ],
  });
  command
    .argument('<directory>', 'the directory of the backup')
    .addOption(
      new Option('--against <file>', 'a checkpoint that the backup must contain; may be repeated').argParser(repeated),
    )
    .addOption(
      new Option('--key <verifier>', 'the key that must have signed its checkpoint, or a file with it').argParser(
        nonEmptyText,
      ),
    )
    .action((directory: string, flags: RestoreFlags) =>
      declaration.actions.restore(contextFor(declaration, command), directory, flags),
    );
}
