import { join } from 'node:path';
import { bytesToHex } from '../../model/digest.js';
import { damagedLogs } from '../../store/files/log-folders.js';
import { readSigner, rebuildStore } from '../../store/on-demand.js';
import type { RebuildProgress, RebuildResult } from '../../store/rebuild/rebuild.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { noticeLine } from '../failure.js';
import { whenUnlocked } from '../open-for.js';
import { option, wholeNumber } from '../option-values.js';
import { StepBars } from '../render/progress.js';
import { printable, sizeText } from '../../model/texts.js';

/** `imagelog rebuild`: rebuilds everything derived from the events and reports it. */
export const rebuildGrammar: Grammar = () => ({
  about:
    'Subject index, Merkle tree, snapshots and checkpoint are written again from the events. Where LevelDB lost its own files, ' +
    'each event is read from what is left of them and checked, and the damaged log is set aside as ' +
    'log.damaged-N: remove that folder when you no longer need it, since no content can be erased while it exists. When an event is ' +
    'lost permanently, nothing is changed, and the error names the number for --accept-loss: the store then continues without the ' +
    'events after it, and without layer files that only these name. The checkpoint that proves them is kept as ' +
    'checkpoint.lost-after-SEQ, and a key that signed them signs no more. No other process may have the store open.',
  options: [
    option('--accept-loss <seq>', 'continue without the events after this one, which are lost', wholeNumber(0)),
  ],
  examples: [
    ['imagelog rebuild', 'repair the store'],
    ['imagelog rebuild --json', 'the same in a script'],
    ['imagelog rebuild --accept-loss 582', 'without a backup, continue from event 582'],
  ],
  action: rebuild,
});

const STEPS: Readonly<Record<RebuildProgress['what'], string>> = {
  copy: 'copying the log',
  events: 'checking events',
  log: 'writing the log',
  views: 'folding events',
};

interface RebuildFlags {
  readonly acceptLoss?: number;
}

async function rebuild(context: CommandContext, { acceptLoss }: RebuildFlags): Promise<void> {
  const { directory, keyFile, signal, err, errColors } = context;
  const signer = keyFile === undefined ? undefined : await readSigner(keyFile);
  const bars = new StepBars(context, (what: RebuildProgress['what']) => ({
    title: `rebuild, ${STEPS[what]}`,
    textOf: what === 'copy' ? sizeText : String,
  }));
  let result: RebuildResult;
  try {
    const onNotice = (notice: string): void => err.post(noticeLine(notice, errColors));
    const options = { signer, signal, acceptLoss, onNotice, onProgress: (step: RebuildProgress) => bars.show(step) };
    result = await whenUnlocked(context, () => rebuildStore(directory, options));
  } finally {
    bars.end();
  }
  if (context.json) return writeJson(context, { ...result, root: bytesToHex(result.root) });
  if (context.quiet) return;
  for (const line of resultLines(result)) await context.out.line(line);
  for (const name of damagedLogs(directory)) {
    const path = printable(join(directory, name));
    await context.out.line(
      `${path} keeps content from being erased: remove the folder when you no longer need it, or move it out of the store`,
    );
  }
}

function resultLines({ events, log, damagedLog, lostContent }: RebuildResult): string[] {
  const lines = [`rebuilt from ${events} events: subject index, Merkle tree, snapshots, checkpoint`];
  if (log === 'salvaged' && damagedLog !== undefined) {
    lines.push(`the database was damaged and is new; the old one is in ${printable(damagedLog)}`);
  }
  for (const digest of lostContent) lines.push(`lost: the content ${digest}; load it again, or restore a backup`);
  return lines;
}
