import { type Digest, type ImageId, isDigest } from '../../model/digest.js';
import { canonicalReference, familiarReference } from '../../model/reference.js';
import type { EventStore } from '../../store/event-store.js';
import type { ReferenceEntry } from '../../store/store.js';
import type { Grammar } from '../command.js';
import { pointedText } from '../../log/event-json.js';
import { isCutReference, mayBeIdAfter } from '../cut-reference.js';
import { UsageError } from '../exit-codes.js';
import { answer, type CommandContext, isForPeople, writeJson } from '../context.js';
import { openFor, openReading, tellDeciding } from '../open-for.js';
import { option, platformName, referenceName, referenceOrId } from '../option-values.js';
import { findImage, findNamed, referenceEntry, referenceMeant, referenceNotFound } from '../query.js';
import { printable } from '../../model/texts.js';

/** `imagelog tag`: points a reference at an image and prints where it was. */
export const tagGrammar: Grammar = () => ({
  about: 'A reference that points at another image moves, and the command says so; the log keeps where it was.',
  examples: [
    ['imagelog tag shop/app:1.0 shop/app:prod', 'give an image one more reference, or move it there'],
    ['imagelog tag --reason "rollback" cb4c372bec4c shop/app:prod', 'move a reference, and keep why'],
    ['imagelog tag --no-overwrite shop/app:1.0 shop/app:stable', 'fail when the reference is another image'],
  ],
  arguments: [['a reference, an id, or the first digits of an id or digest'], ['the reference to set', referenceName]],
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
  // A name carries all its platforms, an id only its image; an index stands for its images.
  const found = findNamed(store, source);
  const reference = canonicalReference(name);
  const before = referenceEntry(store, reference);
  await store.tag(
    { source: found.reference ?? digestOf(store, found), target: reference },
    { ...context.write, overwrite },
  );
  const { image, target } = referenceEntry(store, reference) ?? {};
  const point = pointOf({ image, target });
  const previous = before === undefined || pointOf(before) === point ? undefined : before;
  const { colors } = context;
  const formerly = previous && colors.yellow(pointedText(previous.image, previous.target?.digest));
  const was = formerly === undefined ? '' : `, was ${formerly}`;
  const now = colors.yellow(pointedText(image, target?.digest));
  const moved = `${printable(familiarReference(reference))} → ${now}${was}`;
  const artifacts = {
    ...(image === undefined ? { artifact: point } : {}),
    ...(previous !== undefined && previous.image === undefined ? { previousArtifact: pointOf(previous) } : {}),
  };
  await answer(context, { reference, image: image ?? null, previous: previous?.image ?? null, ...artifacts }, moved);
}

function digestOf(store: EventStore, found: ReturnType<typeof findNamed>): Digest {
  if (found.entry !== undefined) return found.entry.artifact.digest;
  const { id, via } = found;
  return store.artifacts().some(({ artifact }) => artifact.digest === via?.digest) ? (via?.digest ?? id) : id;
}

function pointOf({ image, target }: Pick<ReferenceEntry, 'image' | 'target'>): Digest | undefined {
  return image ?? target?.digest;
}

/** `imagelog untag`: removes a reference, never the image. */
export const untagGrammar: Grammar = () => ({
  examples: [
    ['imagelog untag shop/app:prod', 'remove a reference; the image stays, named or not'],
    ['imagelog untag --reason "not released" shop/app:2.0', 'remove it, and keep why'],
  ],
  arguments: [['the reference to remove, or the id or first digits of an image with one', referenceOrId]],
  action: untag,
});

async function untag(context: CommandContext, name: string): Promise<void> {
  await using store = await openFor(context, 'write');
  const reference = referenceMeant(store, name);
  const entry = referenceEntry(store, reference);
  if (entry === undefined) throw referenceNotFound('cannot untag', reference);
  await store.untag(reference, context.write);
  const { image, target } = entry;
  const artifact = image === undefined ? { artifact: target?.digest } : {};
  const was = context.colors.yellow(pointedText(image, target?.digest));
  const untagged = `untagged ${printable(familiarReference(reference))}, was ${was}`;
  await answer(context, { untagged: reference, image: image ?? null, ...artifact }, untagged);
}

/** `imagelog resolve`: prints the id a reference points or pointed at. */
export const resolveGrammar: Grammar = () => ({
  about:
    'With --at, or after `imagelog at WHEN`, the one that it pointed at then; standard error says by which event. ' +
    'A time without a zone is local.',
  examples: [
    ['imagelog resolve shop/app:prod', 'print the id of the image'],
    ['imagelog resolve --at 2026-01-31T14:05 shop/app:prod', 'print what it was then, by the clock on the wall'],
    ['imagelog resolve --at 2026-01-31T14:05:00+01:00 shop/app:prod', 'print what it was at that moment'],
    ['imagelog resolve --platform linux/arm64 shop/app:multi', 'print the image of one platform'],
  ],
  arguments: [['a reference, an id, or the first digits of an id or digest', referenceOrId]],
  options: [option('--platform <platform>', 'the platform of a multi-platform reference', platformName)],
  action: resolve,
});

async function resolve(
  context: CommandContext,
  name: string,
  { platform }: { readonly platform?: string },
): Promise<void> {
  // The index of references has no history of either.
  if (isDigest(name) || isCutReference(name)) return resolveFound(context, name, platform);
  try {
    await using store = await openFor(context, 'read');
    const reference = canonicalReference(name);
    const image = await resolved(context, store, reference, platform);
    if (context.json) return await writeJson(context, { reference, image });
    await context.out.line(image);
  } catch (error) {
    if (!mayBeIdAfter(error, name)) throw error;
    await resolveFound(context, name, platform);
  }
}

/** Uses the index only: one name does not justify rebuilding the past store. */
async function resolved(
  context: CommandContext,
  store: EventStore,
  reference: string,
  platform: string | undefined,
): Promise<ImageId> {
  const { at, timeZone } = context;
  if (at === undefined) return store.resolve(reference, { platform });
  const { seq } = await store.pointAt(at, { timeZone });
  const image = await store.resolve(reference, { platform, at: seq });
  await tellDeciding(context, { store, seq, isPast: true }, [reference]);
  return image;
}

/** Prints the image of an id, a manifest or index, and which of them it was. */
async function resolveFound(context: CommandContext, name: string, platform: string | undefined): Promise<void> {
  await using reading = await openReading(context);
  const { images } = reading;
  const { id: first, via, reference = null } = findImage(images, name);
  const index = images.referenceEntries().find(({ target }) => target?.digest === via?.digest && via?.kind === 'index');
  const platforms = reference ?? index?.reference;
  if (platform !== undefined && platforms === undefined) {
    throw new UsageError(`${name} is one image: leave out --platform`);
  }
  const id = platform === undefined || platforms === undefined ? first : images.resolve(platforms, { platform });
  if (context.json) return await writeJson(context, { reference, image: id, ...(via === undefined ? {} : { via }) });
  await context.out.line(id);
  if (via !== undefined && isForPeople(context)) {
    await context.err.line(context.errColors.dim(`via ${via.kind} ${via.digest}`));
  }
}
