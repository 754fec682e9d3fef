import { resolve } from 'node:path';
import { isBackup } from '../../store/open/vacancy.js';
import type { VerifyOptions, VerifyProgress, Violation } from '../../store/verify/verify-source.js';
import { verifyStore } from '../../store/on-demand.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { DamageFound } from '../exit-codes.js';
import { noticeLine } from '../failure.js';
import { BACKUP_DAMAGE_HINT, DAMAGE_HINT } from '../hints.js';
import { whenUnlocked } from '../open-for.js';
import { option, repeated } from '../option-values.js';
import { StepBars } from '../render/progress.js';
import { printable, sizeText } from '../../model/texts.js';
import { trustedCheckpoints, trustedKey } from '../trusted.js';

interface VerifyFlags {
  readonly against?: readonly string[];
  readonly key?: string;
  readonly fast?: boolean;
}

/** `imagelog verify`: reports all damage in a store or backup, and what was checked. */
export const verifyGrammar: Grammar = () => ({
  about:
    'Reads every record, row, file and snapshot, also of a store that does not open, and lists every violation. ' +
    'The exit code is 4 when there is one. A checkpoint kept elsewhere shows whether the log was changed since.',
  examples: [
    ['imagelog verify', 'check the store'],
    ['imagelog verify --fast', 'check the Merkle tree and the checkpoint alone'],
    ['imagelog verify --against checkpoint-of-monday', 'check that the log still begins as it was on Monday'],
    ['imagelog verify --json | jq .code', 'name what is wrong, for a program'],
  ],
  arguments: [['the directory of a store or of a backup; by default the store']],
  options: [
    option('--against <file>', 'a checkpoint that the log must contain; may be repeated', repeated),
    option('--key <verifier>', 'the key that must have signed each checkpoint, or a file with it', nonEmptyText),
    option('--fast', 'only the Merkle tree and the checkpoints; no record is decoded'),
  ],
  action: verify,
});

async function verify(
  context: CommandContext,
  directory: string | undefined,
  { against, key, fast }: VerifyFlags,
): Promise<void> {
  // A backup, or another store, is where the command was typed.
  if (directory !== undefined) context.io.client?.decline();
  const path = directory === undefined ? context.directory : resolve(directory);
  const looked = new Looked(context);
  const options: VerifyOptions = {
    against: await trustedCheckpoints(context, against),
    key: await trustedKey(context, key),
    fast,
    signal: context.signal,
    onProgress: looked.note,
    onNotice: (notice) => context.err.post(noticeLine(notice, context.errColors)),
  };
  try {
    const violations = await violationsOf(context, path, options);
    looked.end();
    await tell(context, path, violations, looked.summary());
  } finally {
    looked.end();
  }
}

/** A server verifies the store that it has open. */
async function violationsOf(
  context: CommandContext,
  path: string,
  options: VerifyOptions,
): Promise<readonly Violation[]> {
  const { client } = context.io;
  if (client === undefined) return whenUnlocked(context, () => verifyStore(path, options));
  client.mustBeAllowed('admin');
  return client.store.verify(options);
}

async function tell(
  context: CommandContext,
  path: string,
  violations: readonly Violation[],
  summary: string,
): Promise<void> {
  const { out, colors, json, quiet } = context;
  for (const violation of violations) {
    if (json) await writeJson(context, violation);
    else if (!quiet) await out.line(`${colors.red(violation.code)}  ${printable(textOf(violation))}`);
  }
  if (!json && !quiet)
    await out.line(`${printable(path)}: ${summary}${violations.length === 0 ? ': all is well' : ''}`);
  if (violations.length === 0) return;
  const count = violations.length === 1 ? 'one violation' : `${violations.length} violations`;
  const hint = (await isBackup(path)) ? BACKUP_DAMAGE_HINT : DAMAGE_HINT;
  throw new DamageFound(`verification of ${path} found ${count}`, hint);
}

function textOf({ place, message }: Violation): string {
  return message.includes(place) ? message : `${place}: ${message}`;
}

const NOUNS: Readonly<Record<VerifyProgress['what'], readonly [one: string, many: string]>> = {
  events: ['event', 'events'],
  index: ['index row', 'index rows'],
  content: ['piece of content', 'pieces of content'],
  blobs: ['of layer blobs', 'of layer blobs'],
  snapshots: ['snapshot', 'snapshots'],
};

const STEPS: Readonly<Record<VerifyProgress['what'], string>> = {
  events: 'events',
  index: 'the index',
  content: 'content',
  blobs: 'layers',
  snapshots: 'snapshots',
};

/** Tracks what was checked: live progress, then a summary. */
class Looked {
  readonly #bars: StepBars<VerifyProgress['what']>;
  readonly #done = new Map<VerifyProgress['what'], number>();

  constructor(context: CommandContext) {
    this.#bars = new StepBars(context, (what) => ({
      title: `verify ${STEPS[what]}`,
      textOf: (number) => numberText(what, number),
    }));
  }

  readonly note = (step: VerifyProgress): void => {
    this.#bars.show(step);
    this.#done.set(step.what, step.done);
  };

  end(): void {
    this.#bars.end();
  }

  summary(): string {
    const parts = [...this.#done].map(([what, done]) => `${numberText(what, done)} ${NOUNS[what][done === 1 ? 0 : 1]}`);
    return parts.length === 0 ? 'nothing to check' : `checked ${parts.join(', ')}`;
  }
}

function numberText(what: VerifyProgress['what'], number: number): string {
  return what === 'blobs' ? sizeText(number) : String(number);
}
