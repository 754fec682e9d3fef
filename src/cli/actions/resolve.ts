import { canonicalReference } from '../../model/reference.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';

/** `imagelog resolve`: the id that a reference points at now. */
export async function resolve(
  context: CommandContext,
  name: string,
  { platform }: { readonly platform?: string },
): Promise<void> {
  await using store = await openFor(context, 'read');
  const reference = canonicalReference(name);
  const image = store.resolve(reference, { platform });
  if (context.json) return writeJson(context, { reference, image });
  await context.out.line(image);
}
