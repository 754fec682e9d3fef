import { canonicalReference } from '../../model/reference.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { whenIn } from '../when.js';

/** `imagelog resolve`: the id that a reference points at, or pointed at. */
export async function resolve(
  context: CommandContext,
  name: string,
  { platform }: { readonly platform?: string },
): Promise<void> {
  await using store = await openFor(context, 'read');
  const reference = canonicalReference(name);
  const { at } = context;
  // From the index alone: the store as it was need not be made for one name.
  const image =
    at === undefined
      ? store.resolve(reference, { platform })
      : await store.resolve(reference, { platform, at: whenIn(store, at) });
  if (context.json) return await writeJson(context, { reference, image });
  await context.out.line(image);
}
