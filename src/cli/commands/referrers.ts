import type { Digest } from '../../model/digest.js';
import { familiarReference } from '../../model/reference.js';
import { manifestsOf, type Referring, referringTo } from '../image-facts.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { openReading, type Reading } from '../open-for.js';
import { option } from '../option-values.js';
import { findNamed } from '../query.js';
import { type Column, tableLines } from '../render/table.js';
import { printable, shortId, sizeText } from '../../model/texts.js';

/** `imagelog referrers`: a table, or JSON lines. */
export const referrersGrammar: Grammar = () => ({
  about:
    'Signatures, SBOMs and all else that is about an image: its config, its manifests or its index. What says so is ' +
    'the `subject` of their manifest, or a tag as cosign makes it. Attestations that an index of buildx only ' +
    'contains are among the `artifacts` of `imagelog inspect`.',
  examples: [
    ['imagelog referrers shop/app:1.0', 'list what is about an image'],
    ['imagelog referrers --artifact-type application/spdx+json shop/app:1.0', 'list its SBOMs'],
    ['imagelog referrers --json sha256:4c1f0e', 'the same of a manifest, for a program'],
  ],
  arguments: [['a reference, an id, or the first digits of an id or digest']],
  options: [option('--artifact-type <type>', 'only artifacts of this type')],
  action: referrers,
});

async function referrers(
  context: CommandContext,
  name: string,
  { artifactType }: { readonly artifactType?: string },
): Promise<void> {
  await using reading = await openReading(context);
  const subjects = await subjectsOf(reading, name, context.signal);
  const found = referringTo(reading.images, subjects, artifactType);
  if (context.json) {
    for (const referrer of found) await writeJson(context, referrerObject(referrer));
  } else if (context.quiet) {
    for (const { digest } of found) await context.out.line(digest);
  } else {
    const { colors, out } = context;
    for (const line of tableLines(columns(context), found.map(referrerRow), { width: out.columns, colors })) {
      await out.line(line);
    }
  }
}

/** Returns the digests that a name stands for: of an image, its manifests, an index or an artifact. */
async function subjectsOf(reading: Reading, name: string, signal: AbortSignal): Promise<Set<Digest>> {
  const { images } = reading;
  const found = findNamed(images, name);
  if (found.entry !== undefined) return new Set([found.entry.artifact.digest]);
  // A manifest stands for itself, a name for all that it names.
  if (found.via !== undefined) return new Set([found.via.digest]);
  const subjects = new Set<Digest>([found.id]);
  for (const { digest } of await manifestsOf(reading, found.id, signal)) subjects.add(digest);
  for (const { reference, target } of images.referenceEntries()) {
    if (reference === found.reference && target !== undefined) subjects.add(target.digest);
  }
  return subjects;
}

function columns({ colors }: CommandContext): Column[] {
  return [
    { title: 'DIGEST', paint: colors.yellow },
    { title: 'TYPE', shrinksTo: 16 },
    { title: 'SIZE', align: 'right' },
    { title: 'ABOUT', paint: colors.yellow, goes: 2 },
    { title: 'REFERENCE', shrinksTo: 12, goes: 1 },
  ];
}

function referrerRow({ digest, artifactType, mediaType, size, subject, reference }: Referring): string[] {
  const type = printable(artifactType === '' ? mediaType : artifactType);
  const name = reference === undefined ? '' : printable(familiarReference(reference));
  return [shortId(digest), type, sizeText(size), shortId(subject), name];
}

function referrerObject(referring: Referring): Readonly<Record<string, unknown>> {
  const { digest, size, mediaType, artifactType, annotations, subject, reference } = referring;
  return {
    digest,
    size,
    mediaType,
    artifactType: artifactType === '' ? null : artifactType,
    subject,
    reference: reference ?? null,
    annotations: annotations ?? null,
  };
}
