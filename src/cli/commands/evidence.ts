import { Option } from 'commander';
import type { CheckProofFlags, KeyFlags, ProveFlags } from '../command-flags.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { nonEmptyText, wholeNumber } from './option-values.js';

const GROUP = 'Evidence:';

/** Declares `key`, `checkpoint`, `prove` and `check-proof`. */
export function addEvidenceCommands(declaration: Declaration): void {
  addKey(declaration);
  addCheckpoint(declaration);
  addProve(declaration);
  addCheckProof(declaration);
}

function addKey(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'key',
    group: GROUP,
    summary: 'make a key that signs checkpoints',
    about:
      'Writes a new private key to FILE, for its owner alone, and prints the verifier key: give that to whoever is to check. ' +
      'What the key signed is remembered in the folder FILE.signed, so that it never signs two histories: keep both together.',
    kind: 'reads',
    examples: [
      ['imagelog key /etc/imagelog/log.key', 'make a key for the store that is there'],
      [
        'imagelog key log.key --name example.com/images',
        'make a key for a store to come, which takes its name from it',
      ],
      ['imagelog key --show log.key', 'print the verifier key of a private key again'],
    ],
  });
  command
    .argument('<file>', 'the file of the private key')
    .addOption(
      new Option('--name <origin>', 'the log that it signs for; the store is asked when absent').argParser(
        nonEmptyText,
      ),
    )
    .option('--show', 'print the verifier key of the private key that is there')
    .action((file: string, flags: KeyFlags) => declaration.actions.key(contextFor(declaration, command), file, flags));
}

function addCheckpoint(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'checkpoint',
    group: GROUP,
    summary: 'print what commits to the whole log',
    about:
      'Three lines: the name of the log, how many events it has, and the root of the Merkle tree over them; with --key also a ' +
      'signature. Whoever keeps them can tell later whether an event was changed or lost since: `imagelog verify --against`.',
    kind: 'signs',
    examples: [
      ['imagelog checkpoint | tee monday.checkpoint', 'keep what the log is today'],
      ['imagelog checkpoint --key log.key', 'sign it, and put it into the store'],
    ],
  });
  command.action(() => declaration.actions.checkpoint(contextFor(declaration, command)));
}

function addProve(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'prove',
    group: GROUP,
    summary: 'write a proof that an event is in the log',
    about:
      'The proof is a file of C2SP tlog-proof, with the record of the event and a checkpoint in it. `imagelog check-proof` ' +
      'checks it without the store.',
    kind: 'signs',
    examples: [
      ['imagelog prove 28 --key log.key -o release.tlog-proof', 'prove event 28'],
      ['imagelog prove 28 --checkpoint monday.checkpoint', 'prove it to somebody who holds the checkpoint of Monday'],
    ],
  });
  command
    .addArgument(command.createArgument('<seq>', 'the event').argParser(wholeNumber(1)))
    .option('-o, --output <file>', 'the proof; `-`, or none at all, is the standard output')
    .addOption(
      new Option('--checkpoint <file>', 'the checkpoint to prove it for; a new one when absent').argParser(
        nonEmptyText,
      ),
    )
    .action((seq: number, flags: ProveFlags) =>
      declaration.actions.prove(contextFor(declaration, command), seq, flags),
    );
}

function addCheckProof(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'check-proof',
    group: GROUP,
    summary: 'check a proof, without the store',
    about:
      'Says which event it proves, and who vouches for it. Without --key and --checkpoint that is nobody: such a proof can be made ' +
      'by anybody. The exit code is 4 when the proof does not hold.',
    kind: 'reads',
    examples: [
      [
        'imagelog check-proof release.tlog-proof --key example.com/images+33d7b496+AeHTu4Q3…',
        'check it with a verifier key',
      ],
      [
        'imagelog check-proof release.tlog-proof --checkpoint monday.checkpoint',
        'check it against a checkpoint you hold',
      ],
    ],
  });
  command
    .argument('<file>', 'the proof; `-` is the standard input')
    .addOption(new Option('--key <verifier>', 'the verifier key of the log, or a file with it').argParser(nonEmptyText))
    .addOption(new Option('--checkpoint <file>', 'a checkpoint that you trust').argParser(nonEmptyText))
    .addOption(
      new Option('--record <file>', 'the record to prove; the one in the proof when absent').argParser(nonEmptyText),
    )
    .action((file: string, flags: CheckProofFlags) =>
      declaration.actions['check-proof'](contextFor(declaration, command), file, flags),
    );
}
