import { canonicalReference, familiarReference } from '../../model/reference.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { findImage, referenceEntry } from '../query.js';
import { printable, shortId } from '../render/text.js';

/** `imagelog tag`: points a reference at an image and says where it was. */
export async function tag(
  context: CommandContext,
  source: string,
  name: string,
  { overwrite }: { readonly overwrite: boolean },
): Promise<void> {
  await using store = await openFor(context, 'write');
  // A name brings all its platforms along, an id only its image.
  const { id, reference: sourceReference } = findImage(store, source);
  const reference = canonicalReference(name);
  const before = referenceEntry(store, reference)?.image;
  await store.tag(reference, sourceReference ?? id, { ...context.write, overwrite });
  const previous = before === id ? undefined : before;
  if (context.json) return await writeJson(context, { reference, image: id, previous: previous ?? null });
  if (context.quiet) return;
  const { colors } = context;
  const was = previous === undefined ? '' : `, was ${colors.yellow(shortId(previous))}`;
  await context.out.line(`${printable(familiarReference(reference))} → ${colors.yellow(shortId(id))}${was}`);
}
