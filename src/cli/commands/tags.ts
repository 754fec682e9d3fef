import { canonicalReference, familiarReference } from '../../model/reference.js';
import type { Grammar } from '../command.js';
import { answer, type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { option, platformName, referenceName, whenIn } from '../option-values.js';
import { findImage, referenceEntry, referenceNotFound } from '../query.js';
import { printable, shortId } from '../render/text.js';

/** `imagelog tag`: points a reference at an image and prints where it was. */
export const tagGrammar: Grammar = () => ({
  about: 'A reference that points at another image moves, and the command says so; the log keeps where it was.',
  examples: [
    ['imagelog tag shop/app:1.0 shop/app:prod', 'give an image one more reference, or move it there'],
    ['imagelog tag --reason "rollback" cb4c372bec4c shop/app:prod', 'move a reference, and keep why'],
    ['imagelog tag --no-overwrite shop/app:1.0 shop/app:stable', 'fail when the reference is another image'],
  ],
  arguments: [['a reference, an id or the first digits of an id'], ['the reference to set', referenceName]],
  options: [option('--no-overwrite', 'fail when the reference points at another image')],
  action: tag,
});

async function tag(
  context: CommandContext,
  source: string,
  name: string,
  { overwrite }: { readonly overwrite: boolean },
): Promise<void> {
  await using store = await openFor(context, 'write');
  // A name carries all its platforms, an id only its image.
  const { id, reference: sourceReference } = findImage(store, source);
  const reference = canonicalReference(name);
  const before = referenceEntry(store, reference)?.image;
  await store.tag(reference, sourceReference ?? id, { ...context.write, overwrite });
  const previous = before === id ? undefined : before;
  const { colors } = context;
  const was = previous === undefined ? '' : `, was ${colors.yellow(shortId(previous))}`;
  const moved = `${printable(familiarReference(reference))} → ${colors.yellow(shortId(id))}${was}`;
  await answer(context, { reference, image: id, previous: previous ?? null }, moved);
}

/** `imagelog untag`: removes a reference, never the image. */
export const untagGrammar: Grammar = () => ({
  examples: [
    ['imagelog untag shop/app:prod', 'remove a reference; the image stays, named or not'],
    ['imagelog untag --reason "not released" shop/app:2.0', 'remove it, and keep why'],
  ],
  arguments: [['the reference to remove', referenceName]],
  action: untag,
});

async function untag(context: CommandContext, name: string): Promise<void> {
  await using store = await openFor(context, 'write');
  const reference = canonicalReference(name);
  const entry = referenceEntry(store, reference);
  if (entry === undefined) throw referenceNotFound('cannot untag', reference);
  await store.untag(reference, context.write);
  const was = context.colors.yellow(shortId(entry.image));
  const untagged = `untagged ${printable(familiarReference(reference))}, was ${was}`;
  await answer(context, { untagged: reference, image: entry.image }, untagged);
}

/** `imagelog resolve`: prints the id a reference points or pointed at. */
export const resolveGrammar: Grammar = () => ({
  about: 'With --at, or after `imagelog at WHEN`, the one that it pointed at then.',
  examples: [
    ['imagelog resolve shop/app:prod', 'print the id of the image'],
    ['imagelog resolve --at 2026-01-31T14:05:00+01:00 shop/app:prod', 'print what it was at that moment'],
    ['imagelog resolve --platform linux/arm64 shop/app:multi', 'print the image of one platform'],
  ],
  arguments: [['the reference', referenceName]],
  options: [option('--platform <platform>', 'the platform of a multi-platform reference', platformName)],
  action: resolve,
});

async function resolve(
  context: CommandContext,
  name: string,
  { platform }: { readonly platform?: string },
): Promise<void> {
  await using store = await openFor(context, 'read');
  const reference = canonicalReference(name);
  const { at } = context;
  // Uses the index only: one name does not justify rebuilding the past store.
  const image =
    at === undefined
      ? store.resolve(reference, { platform })
      : await store.resolve(reference, { platform, at: whenIn(store, at) });
  if (context.json) return await writeJson(context, { reference, image });
  await context.out.line(image);
}
