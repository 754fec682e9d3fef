import { Option } from 'commander';
import type { VerifyFlags } from '../command-flags.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { nonEmptyText, repeated } from './option-values.js';

/** Declares `verify`. */
export function addVerify(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'verify',
    group: 'Evidence:',
    summary: 'check all that is kept against the events',
    about:
      'Reads every record, row, file and snapshot, also of a store that does not open, and says all that is wrong. ' +
      'The exit code is 4 when anything is. A checkpoint that somebody kept elsewhere tells whether the log was changed since.',
    kind: 'reads',
    examples: [
      ['imagelog verify', 'check the store'],
      ['imagelog verify --fast', 'check the Merkle tree and the checkpoint alone'],
      ['imagelog verify --against checkpoint-of-monday', 'check that the log still begins as it was on Monday'],
      ['imagelog verify --json | jq .code', 'name what is wrong, for a program'],
    ],
  });
  command
    .argument('[directory]', 'the directory of a store or of a backup; the store, when there is none')
    .addOption(
      new Option('--against <file>', 'a checkpoint that the log must contain; may be repeated').argParser(repeated),
    )
    .addOption(
      new Option('--key <verifier>', 'the key that must have signed each checkpoint, or a file with it').argParser(
        nonEmptyText,
      ),
    )
    .option('--fast', 'only the Merkle tree and the checkpoints; no record is read')
    .action((directory: string | undefined, flags: VerifyFlags) =>
      declaration.actions.verify(contextFor(declaration, command), directory, flags),
    );
}
