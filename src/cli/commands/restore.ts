import { isStoreError } from '../../errors.js';
import type { RestoreReport } from '../../store/backup/backup-layout.js';
import { restoreStore } from '../../store/on-demand.js';
import type { Violation } from '../../store/verify/verify-source.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { answer, type CommandContext } from '../context.js';
import { noticeLine } from '../failure.js';
import { withOwnHint } from '../hints.js';
import { option, repeated } from '../option-values.js';
import { progressBar } from '../render/progress.js';
import { printable, sizeText } from '../../model/texts.js';
import { trustedCheckpoints, trustedKey } from '../trusted.js';

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
  await answer(context, report, summary(report));
}

async function tellViolations({ err, errColors }: CommandContext, violations: unknown): Promise<void> {
  for (const { code, place, message } of (violations ?? []) as readonly Violation[]) {
    await err.line(`${errColors.red(code)}  ${printable(message.includes(place) ? message : `${place}: ${message}`)}`);
  }
}

function summary({ directory, events, blobs, blobBytes }: RestoreReport): string {
  return `restored ${printable(directory)}: ${events} events, ${blobs} layer files of ${sizeText(blobBytes)}`;
}
