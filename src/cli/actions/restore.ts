import { isStoreError } from '../../errors.js';
import type { RestoreReport } from '../../store/backup/backup-layout.js';
import { restoreStore } from '../../store/backup/restore.js';
import type { Violation } from '../../store/verify/verify-source.js';
import type { RestoreFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { noticeLine } from '../failure.js';
import { withOwnHint } from '../hints.js';
import { printable, sizeText } from '../render/text.js';
import { progressBar } from '../render/progress.js';
import { trustedCheckpoints, trustedKey } from '../trusted.js';

/** `imagelog restore`: makes the store of a backup that verifies. */
export async function restore(context: CommandContext, source: string, { against, key }: RestoreFlags): Promise<void> {
  const progress = progressBar(context, printable(source));
  let report: RestoreReport;
  try {
    report = await restoreStore(context.directory, source, {
      against: await trustedCheckpoints(context, against),
      key: await trustedKey(key),
      onProgress: progress.update,
      onNotice: (notice) => context.err.post(noticeLine(notice, context.errColors)),
      signal: context.signal,
    });
  } catch (error) {
    progress.end();
    if (isStoreError(error, 'BACKUP_INVALID')) await tellViolations(context, error.data['violations']);
    throw withOwnHint(error, { FILE_EXISTS: '`--store DIR` names a directory that is empty, or not there' });
  } finally {
    progress.end();
  }
  if (context.json) return writeJson(context, report);
  if (!context.quiet) await context.out.line(summary(report));
}

async function tellViolations({ err, errColors }: CommandContext, violations: unknown): Promise<void> {
  for (const { code, place, message } of (violations ?? []) as readonly Violation[]) {
    await err.line(`${errColors.red(code)}  ${printable(message.includes(place) ? message : `${place}: ${message}`)}`);
  }
}

function summary({ directory, events, blobs, blobBytes }: RestoreReport): string {
  return `restored ${printable(directory)}: ${events} events, ${blobs} layer files of ${sizeText(blobBytes)}`;
}
