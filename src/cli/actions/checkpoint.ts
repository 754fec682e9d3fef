import { bytesToBase64 } from '../../log/note.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { printable } from '../render/text.js';

/** `imagelog checkpoint`: prints a checkpoint of the head, signed when there is a key. */
export async function checkpoint(context: CommandContext): Promise<void> {
  await using store = await openFor(context, context.keyFile === undefined ? 'read' : 'write');
  const text = await store.checkpoint();
  if (!context.json) return await context.out.line(text.split('\n').map(printable).join('\n').replace(/\n$/, ''));
  const { origin, size, root, signatures } = parseCheckpoint(text);
  const signedBy = signatures.map(({ name }) => name);
  return await writeJson(context, { origin, size, root: bytesToBase64(root), signedBy, text });
}
