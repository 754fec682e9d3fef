import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { parseProof } from '../../log/checkpoint.js';
import { writeArchiveFile } from '../archive-target.js';
import type { ProveFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { readInput } from '../trusted.js';
import { printable } from '../render/text.js';

/** `imagelog prove`: writes a proof of one event to a file, whole or not at all, or to the standard output. */
export async function prove(context: CommandContext, seq: number, flags: ProveFlags): Promise<void> {
  const { output = '-', checkpoint } = flags;
  const given = checkpoint === undefined ? undefined : await readInput(context, checkpoint, MAX_NOTE_BYTES);
  const isSigned = given === undefined && context.keyFile !== undefined;
  await using store = await openFor(context, isSigned ? 'write' : 'read');
  const text = await store.prove(seq, { checkpoint: given });
  // The last line end is that of the proof.
  if (output === '-') return await context.out.line(text.replace(/\n$/, ''));
  const writeTo = async (file: FileHandle): Promise<void> => {
    await file.writeFile(text);
    await file.sync();
  };
  await writeArchiveFile({ writeTo, stream: () => Readable.from([text]) }, output, context.signal);
  const { origin, size, signatures } = parseProof(text).checkpoint;
  if (context.json)
    return await writeJson(context, { file: output, seq, origin, size, signedBy: signatures.map(({ name }) => name) });
  if (context.quiet) return;
  await context.out.line(`${printable(output)} proves event ${seq} of ${printable(origin)}, of ${size} events`);
}
