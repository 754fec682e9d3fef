import type { BackupReport } from '../../store/backup/backup-layout.js';
import type { Grammar } from '../command.js';
import { answer, type CommandContext } from '../context.js';
import { withOwnHint } from '../hints.js';
import { openFor, whenUnlocked } from '../open-for.js';
import { progressBar } from '../render/progress.js';
import { printable, sizeText } from '../../model/texts.js';

/** `imagelog backup`: updates a backup directory incrementally. */
export const backupGrammar: Grammar = () => ({
  about:
    'The directory is a tlog-tiles log (C2SP), with content and layer files beside it, and any static web server can serve it. The next ' +
    'run writes only what is new, and removes what was erased. Until a run is done, the previous backup stays valid.',
  examples: [
    ['imagelog backup /mnt/backup/images', 'make a backup, or bring it up to date'],
    ['imagelog backup /mnt/backup/images --key log.key', 'the same, with a checkpoint that is signed'],
  ],
  arguments: [['the directory of the backup']],
  action: backup,
});

const OWN_HINTS = {
  STORE_LOCKED: 'the process that has the store open can back it up itself, by `store.backup(directory)`',
  FILE_EXISTS: 'name an empty directory, or one that has a backup of this store',
  CHECKPOINT_FORKED: 'the backup is of another copy of this store; keep it, and back up to another directory',
} as const;

async function backup(context: CommandContext, directory: string): Promise<void> {
  const report = await writeBackup(context, directory).catch((error: unknown) => {
    throw withOwnHint(error, OWN_HINTS);
  });
  await answer(context, report, summary(directory, report));
}

async function writeBackup(context: CommandContext, directory: string): Promise<BackupReport> {
  await using store = await openFor(context, context.keyFile === undefined ? 'read' : 'write');
  const progress = progressBar(context, `backup ${printable(directory)}`);
  try {
    const options = { onProgress: progress.update, signal: context.signal };
    return await whenUnlocked(context, () => store.backup(directory, options));
  } finally {
    progress.end();
  }
}

function summary(directory: string, { events, files, bytes, filesWritten, bytesWritten }: BackupReport): string {
  const all = `${events} events in ${files} files of ${sizeText(bytes)}`;
  const written =
    filesWritten === 0 ? 'nothing was new' : `${filesWritten} files of ${sizeText(bytesWritten)} were new`;
  return `backed up to ${printable(directory)}: ${all}, ${written}`;
}
