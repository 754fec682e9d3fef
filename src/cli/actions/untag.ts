import { canonicalReference, familiarReference } from '../../model/reference.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { referenceEntry, referenceNotFound } from '../query.js';
import { printable, shortId } from '../render/text.js';

/** `imagelog untag`: removes a reference, and never the image. */
export async function untag(context: CommandContext, name: string): Promise<void> {
  await using store = await openFor(context, 'write');
  const reference = canonicalReference(name);
  const entry = referenceEntry(store, reference);
  if (entry === undefined) throw referenceNotFound('cannot untag', reference);
  await store.untag(reference, context.write);
  if (context.json) return await writeJson(context, { untagged: reference, image: entry.image });
  if (context.quiet) return;
  const id = context.colors.yellow(shortId(entry.image));
  await context.out.line(`untagged ${printable(familiarReference(reference))}, was ${id}`);
}
