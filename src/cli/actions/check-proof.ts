import { MAX_NOTE_BYTES, MAX_PROOF_BYTES, MAX_RECORD_BYTES } from '../../limits.js';
import { type CheckedProof, checkProof } from '../../log/checkpoint.js';
import type { CheckProofFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { eventObject } from '../events.js';
import { noticeLine } from '../failure.js';
import { readInput, trustedKey } from '../trusted.js';
import { eventTable } from '../render/event-table.js';
import { printable } from '../render/text.js';

/** `imagelog check-proof`: says which event a proof proves, and who vouches for it. Opens no store. */
export async function checkProofFile(context: CommandContext, file: string, flags: CheckProofFlags): Promise<void> {
  const read = (path: string, limitBytes: number): Promise<Uint8Array> => readInput(context, path, limitBytes);
  const proof = await checkProof(await read(file, MAX_PROOF_BYTES), {
    key: await trustedKey(flags.key),
    checkpoint: flags.checkpoint === undefined ? undefined : await read(flags.checkpoint, MAX_NOTE_BYTES),
    record: flags.record === undefined ? undefined : await read(flags.record, MAX_RECORD_BYTES),
  });
  await (context.json ? tellPrograms(context, proof) : tellPeople(context, proof));
}

function tellPrograms(context: CommandContext, { seq, event, checkpoint, vouchedBy }: CheckedProof): Promise<void> {
  const { origin, size } = checkpoint;
  return writeJson(context, { seq, origin, size, vouchedBy, event: event === undefined ? null : eventObject(event) });
}

async function tellPeople(context: CommandContext, proof: CheckedProof): Promise<void> {
  const { out, err, colors, errColors, io, quiet } = context;
  const { seq, event, checkpoint, vouchedBy } = proof;
  if (vouchedBy === 'nothing') await err.line(noticeLine(nobodyVouches(proof), errColors));
  if (quiet) return;
  const vouched = { key: 'signed by its key', checkpoint: 'as you trust it', nothing: 'if its checkpoint is true' };
  await out.line(
    `event ${seq} is in the log ${printable(checkpoint.origin)} of ${checkpoint.size} events, ${vouched[vouchedBy]}`,
  );
  if (event === undefined) return;
  const table = eventTable({ colors, width: out.columns, timeZone: io.timeZone, largestSeq: seq });
  await out.line(table.head);
  await out.line(table.row(event));
}

function nobodyVouches({ checkpoint }: CheckedProof): string {
  const signed = checkpoint.signatures.length === 0 ? 'has no signature' : 'has a signature that was not checked';
  return `the proof leads to the checkpoint in it, which ${signed}: anybody can make such a proof. Give --key or --checkpoint`;
}
