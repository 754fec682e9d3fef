import { bytesToBase64, parsePrivateKey } from '../../log/note.js';
import { createKeyFile, readKeyText } from '../../store/keys.js';
import { readSidecar } from '../../store/open/sidecar.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { answer, type CommandContext, writeJson } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { eventSeq, option } from '../option-values.js';
import { printable } from '../../model/texts.js';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { MAX_NOTE_BYTES, MAX_PROOF_BYTES, MAX_RECORD_BYTES } from '../../limits.js';
import { type CheckedProof, checkProof, parseCheckpoint, parseProof } from '../../log/checkpoint.js';
import { eventToJSON, summaryFormat } from '../../log/event-json.js';
import { noticeLine } from '../failure.js';
import { openFor } from '../open-for.js';
import { eventTable } from '../render/event-table.js';
import { readInput, trustedKey } from '../trusted.js';

interface KeyFlags {
  readonly name?: string;
  readonly show?: boolean;
}

/** `imagelog key`: creates or shows a private key and prints its verifier key. */
export const keyGrammar: Grammar = () => ({
  about:
    'Writes a new private key to FILE, for its owner alone, and prints the verifier key: give that to everyone who verifies. ' +
    'What the key signed is remembered in the folder FILE.signed, so that it never signs two histories: keep both together.',
  examples: [
    ['imagelog key /etc/imagelog/log.key', 'make a key for the store that is there'],
    ['imagelog key log.key --name example.com/images', 'make a key for a future store, which takes its name from it'],
    ['imagelog key --show log.key', 'print the verifier key of a private key again'],
  ],
  arguments: [['the file of the private key']],
  options: [
    option('--name <origin>', 'the log that it signs for; by default that of the store', nonEmptyText),
    option('--show', 'print the verifier key of an existing private key'),
  ],
  action: key,
});

async function key(context: CommandContext, file: string, { name, show }: KeyFlags): Promise<void> {
  if (show === true && name !== undefined)
    throw new UsageError('--show shows a key that has its name: leave out --name');
  const verifierKey =
    show === true
      ? (await parsePrivateKey(await readKeyText(file, 'private'))).verifierKey
      : await make(context, file, name);
  if (context.json) return writeJson(context, { file, verifierKey });
  await context.out.line(printable(verifierKey));
}

async function make({ directory }: CommandContext, file: string, name: string | undefined): Promise<string> {
  const origin = name ?? (await readSidecar(directory))?.origin;
  if (origin !== undefined) return createKeyFile(file, origin);
  throw new UsageError(`name the log with --name: there is no store in ${directory} that has one`);
}

/** `imagelog checkpoint`: prints a checkpoint of the head, signed if a key is given. */
export const checkpointGrammar: Grammar = () => ({
  about:
    'Three lines: the name of the log, how many events it has, and the root of the Merkle tree over them; with --key also a ' +
    'signature. A kept checkpoint shows later whether an event was changed or lost since: `imagelog verify --against`.',
  examples: [
    ['imagelog checkpoint | tee monday.checkpoint', 'keep what the log is today'],
    ['imagelog checkpoint --key log.key', 'sign it, and put it into the store'],
  ],
  action: checkpoint,
});

async function checkpoint(context: CommandContext): Promise<void> {
  await using store = await openFor(context, context.keyFile === undefined ? 'read' : 'write');
  const text = await store.checkpoint();
  if (!context.json) return await context.out.line(text.split('\n').map(printable).join('\n').replace(/\n$/, ''));
  const { origin, size, root, signatures } = parseCheckpoint(text);
  const signedBy = signatures.map(({ name }) => name);
  return await writeJson(context, { origin, size, root: bytesToBase64(root), signedBy, text });
}

interface ProveFlags {
  readonly output?: string;
  readonly checkpoint?: string;
}

/** `imagelog prove`: writes a proof of one event to a file (atomically) or standard output. */
export const proveGrammar: Grammar = () => ({
  about:
    'The proof is a file of C2SP tlog-proof, with the record of the event and a checkpoint in it. `imagelog check-proof` ' +
    'checks it without the store. A line of `imagelog log` has the number of the last event of its transaction; ' +
    '`imagelog log --events` shows each.',
  examples: [
    ['imagelog prove 28 --key log.key -o release.tlog-proof', 'prove event 28'],
    ['imagelog prove 28 --checkpoint monday.checkpoint', 'prove it to someone who has the checkpoint of Monday'],
  ],
  arguments: [['the event', eventSeq]],
  options: [
    option('-o, --output <file>', 'the proof; `-`, or none, is the standard output'),
    option('--checkpoint <file>', 'the checkpoint to prove it for; a new one when absent', nonEmptyText),
  ],
  action: prove,
});

async function prove(context: CommandContext, seq: number, flags: ProveFlags): Promise<void> {
  const { output = '-', checkpoint } = flags;
  const given = checkpoint === undefined ? undefined : await readInput(context, checkpoint, MAX_NOTE_BYTES);
  const isSigned = given === undefined && context.keyFile !== undefined;
  await using store = await openFor(context, isSigned ? 'write' : 'read');
  const text = await store.prove(seq, { checkpoint: given });
  // `line` adds the final line feed.
  if (output === '-') return await context.out.line(text.replace(/\n$/, ''));
  const writeTo = async (file: FileHandle): Promise<void> => {
    await file.writeFile(text);
    await file.sync();
  };
  await context.files.write({ writeTo, stream: () => Readable.from([text]) }, output, context.signal);
  const { origin, size, signatures } = parseProof(text).checkpoint;
  const proves = `${printable(output)} proves event ${seq} of ${printable(origin)}, of ${size} events`;
  await answer(context, { file: output, seq, origin, size, signedBy: signatures.map(({ name }) => name) }, proves);
}

interface CheckProofFlags {
  readonly key?: string;
  readonly checkpoint?: string;
  readonly record?: string;
}

/** `imagelog check-proof`: prints what a proof proves and who vouches for it. Opens no store. */
export const checkProofGrammar: Grammar = () => ({
  about:
    'Prints which event it proves, and who vouches for it. Without --key and --checkpoint nobody does: such a proof can be made ' +
    'by anyone. The exit code is 4 when the proof does not verify.',
  examples: [
    [
      'imagelog check-proof release.tlog-proof --key example.com/images+33d7b496+AeHTu4Q3…',
      'check it with a verifier key',
    ],
    [
      'imagelog check-proof release.tlog-proof --checkpoint monday.checkpoint',
      'check it against a checkpoint you kept',
    ],
  ],
  arguments: [['the proof; `-` is the standard input']],
  options: [
    option('--key <verifier>', 'the verifier key of the log, or a file with it', nonEmptyText),
    option('--checkpoint <file>', 'a checkpoint that you trust', nonEmptyText),
    option('--record <file>', 'the record to prove; the one in the proof when absent', nonEmptyText),
  ],
  action: checkProofFile,
});

async function checkProofFile(context: CommandContext, file: string, flags: CheckProofFlags): Promise<void> {
  const read = (path: string, limitBytes: number): Promise<Uint8Array> => readInput(context, path, limitBytes);
  const proof = await checkProof(await read(file, MAX_PROOF_BYTES), {
    key: await trustedKey(context, flags.key),
    checkpoint: flags.checkpoint === undefined ? undefined : await read(flags.checkpoint, MAX_NOTE_BYTES),
    record: flags.record === undefined ? undefined : await read(flags.record, MAX_RECORD_BYTES),
  });
  await (context.json ? tellPrograms(context, proof) : tellPeople(context, proof));
}

function tellPrograms(context: CommandContext, { seq, event, checkpoint, vouchedBy }: CheckedProof): Promise<void> {
  const { origin, size } = checkpoint;
  return writeJson(context, { seq, origin, size, vouchedBy, event: event === undefined ? null : eventToJSON(event) });
}

async function tellPeople(context: CommandContext, proof: CheckedProof): Promise<void> {
  const { out, err, colors, errColors, timeZone, quiet } = context;
  const { seq, event, checkpoint, vouchedBy } = proof;
  if (vouchedBy === 'nothing') await err.line(noticeLine(nobodyVouches(proof), errColors));
  if (quiet) return;
  const vouched = { key: 'signed by its key', checkpoint: 'as you trust it', nothing: 'if its checkpoint is true' };
  await out.line(
    `event ${seq} is in the log ${printable(checkpoint.origin)} of ${checkpoint.size} events, ${vouched[vouchedBy]}`,
  );
  if (event === undefined) return;
  const table = eventTable({
    colors,
    width: out.columns,
    timeZone,
    times: [event.time],
    largestSeq: seq,
    show: summaryFormat,
  });
  await out.line(table.head);
  await out.line(table.entry(event, []));
}

function nobodyVouches({ checkpoint }: CheckedProof): string {
  const signed = checkpoint.signatures.length === 0 ? 'has no signature' : 'has a signature that was not checked';
  return `the proof leads to the checkpoint in it, which ${signed}: anyone can make such a proof. Give --key or --checkpoint`;
}
