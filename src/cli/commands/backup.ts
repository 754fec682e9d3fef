import type { BackupReport, RestoreReport } from '../../store/backup/backup-layout.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { answer, type CommandContext } from '../context.js';
import { withOwnHint } from '../hints.js';
import { openFor, whenUnlocked } from '../open-for.js';
import { progressBar } from '../render/progress.js';
import { printable, sizeText } from '../../model/texts.js';
import { isStoreError } from '../../errors.js';
import { restoreStore } from '../../store/on-demand.js';
import type { Violation } from '../../store/verify/verify-source.js';
import { noticeLine } from '../failure.js';
import { option, repeated } from '../option-values.js';
import { trustedCheckpoints, trustedKey } from '../trusted.js';

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

interface RestoreFlags {
  readonly against?: readonly string[];
  /** Verifier key or a file containing it. */
  readonly key?: string;
}

/** `imagelog restore`: creates a store from a verified backup. */
export const restoreGrammar: Grammar = () => ({
  about:
    'Verifies the whole backup, then creates the store: the same events, images, names and layer files. The directory of the ' +
    'store must not exist. Positions of consumers are not in a backup.',
  examples: [
    ['imagelog restore /mnt/backup/images --store /srv/images', 'make the store again'],
    [
      'imagelog restore /mnt/backup/images --against monday.checkpoint',
      'only if it contains what your checkpoint commits to',
    ],
  ],
  arguments: [['the directory of the backup']],
  options: [
    option('--against <file>', 'a checkpoint that the backup must contain; may be repeated', repeated),
    option('--key <verifier>', 'the key that must have signed its checkpoint, or a file with it', nonEmptyText),
  ],
  action: restore,
});

async function restore(context: CommandContext, source: string, { against, key }: RestoreFlags): Promise<void> {
  const progress = progressBar(context, `restore ${printable(source)}`);
  let report: RestoreReport;
  try {
    report = await restoreStore(context.directory, source, {
      against: await trustedCheckpoints(context, against),
      key: await trustedKey(context, key),
      onProgress: progress.update,
      onNotice: (notice) => context.err.post(noticeLine(notice, context.errColors)),
      signal: context.signal,
    });
  } catch (error) {
    progress.end();
    if (isStoreError(error, 'BACKUP_INVALID')) await tellViolations(context, error.data['violations']);
    throw withOwnHint(error, { FILE_EXISTS: '`--store DIR` names a directory that is empty or does not exist' });
  } finally {
    progress.end();
  }
  await answer(context, report, restored(report));
}

async function tellViolations({ err, errColors }: CommandContext, violations: unknown): Promise<void> {
  for (const { code, place, message } of (violations ?? []) as readonly Violation[]) {
    await err.line(`${errColors.red(code)}  ${printable(message.includes(place) ? message : `${place}: ${message}`)}`);
  }
}

function restored({ directory, events, blobs, blobBytes }: RestoreReport): string {
  return `restored ${printable(directory)}: ${events} events, ${blobs} layer files of ${sizeText(blobBytes)}`;
}
