import { type Descriptor, type Digest, digestHex } from '../model/digest.js';
import { formatReference, parseReference } from '../model/reference.js';
import { type ArtifactsState, eventsAbout, type ImageState, periodsOf } from './as-of.js';
import type { Reading } from './reading.js';

/** An artifact that belongs to an image or artifact, and how: as `inspect` tells it. */
export interface RelatedArtifact extends Descriptor {
  /** Empty when neither its manifest nor its config says. */
  readonly artifactType: string;
  /** The digest it is about; undefined when an index holds it beside the image. */
  readonly subject: Digest | undefined;
  /** The index that holds both; undefined when it is about the image. */
  readonly index: Digest | undefined;
}

/** Endings of the tags by which cosign names what is about a digest. */
const TAG_ENDINGS = ['sig', 'att', 'sbom'] as const;

interface Asked {
  readonly artifacts: ArtifactsState;
  readonly seq: number;
}

/** Returns the artifacts about an image, its manifests and indexes, and those beside it in an index; or about an artifact. */
export async function relatedArtifacts(
  reading: Reading,
  asked: Asked & ({ readonly state: ImageState } | { readonly digest: Digest }),
): Promise<RelatedArtifact[]> {
  const { artifacts } = asked;
  const state = 'state' in asked ? asked.state : undefined;
  const own = 'digest' in asked ? [asked.digest] : ownDigests(asked.state);
  const indexes = state === undefined ? [] : own.flatMap((digest) => [...(artifacts.indexesOf.get(digest) ?? [])]);
  const targets = state?.periods.flatMap(({ untilSeq, event: { target } }) =>
    untilSeq === undefined && target !== undefined ? [target.digest] : [],
  );
  const related = new Map<Digest, RelatedArtifact>();
  for (const subject of new Set([...own, ...indexes, ...(targets ?? [])])) {
    const names = own.includes(subject) ? state?.references : undefined;
    for (const descriptor of await referrers(reading, subject, asked, names)) {
      if (!related.has(descriptor.digest)) related.set(descriptor.digest, { ...descriptor, subject, index: undefined });
    }
  }
  for (const index of new Set(indexes)) {
    for (const { digest } of artifacts.byDigest.get(index)?.contains ?? []) {
      const entry = artifacts.byDigest.get(digest);
      if (entry === undefined || related.has(digest)) continue;
      related.set(digest, { ...entry.artifact, artifactType: entry.artifactType, subject: undefined, index });
    }
  }
  return [...related.values()];
}

function ownDigests({ id, manifests }: ImageState): Digest[] {
  return [id, ...manifests.map(({ digest }) => digest)];
}

/** What is about a digest: artifacts whose subject it is, then those that cosign's tags name. */
async function referrers(
  reading: Reading,
  subject: Digest,
  { artifacts, seq }: Asked,
  names: readonly string[] | undefined,
): Promise<(Descriptor & Pick<RelatedArtifact, 'artifactType'>)[]> {
  const found = new Map<Digest, Descriptor>();
  for (const digest of artifacts.bySubject.get(subject) ?? []) {
    const entry = artifacts.byDigest.get(digest);
    if (entry !== undefined) found.set(digest, entry.artifact);
  }
  for (const tag of taggedNames(subject, names ?? (await namesOf(reading, subject, seq)))) {
    const target = await targetOf(reading, tag, seq);
    if (target !== undefined && !found.has(target.digest)) found.set(target.digest, target);
  }
  return [...found.values()].map((descriptor) => ({
    ...descriptor,
    artifactType: artifacts.byDigest.get(descriptor.digest)?.artifactType ?? '',
  }));
}

async function namesOf(reading: Reading, digest: Digest, seq: number): Promise<string[]> {
  const events = await eventsAbout(reading, digest, seq);
  return periodsOf(reading, { digest, seq, events }).flatMap(({ reference, untilSeq }) =>
    untilSeq === undefined ? [reference] : [],
  );
}

/** The references that would name what is about `digest`, in each repository where it has a name. */
function taggedNames(digest: Digest, names: readonly string[]): Set<string> {
  const tags = new Set<string>();
  for (const name of [...names].sort()) {
    const { domain, path } = parseReference(name);
    for (const ending of TAG_ENDINGS) {
      tags.add(formatReference({ domain, path, tag: `sha256-${digestHex(digest)}.${ending}` }));
    }
  }
  return tags;
}

async function targetOf(reading: Reading, reference: string, seq: number): Promise<Descriptor | undefined> {
  const row = reading.timeline.names.find(reference);
  const change = row === undefined ? undefined : reading.timeline.referenceAt(row, seq);
  if (change === undefined || change.isRemoved) return undefined;
  const event = await reading.event(change.seq);
  return event.type === 'ReferenceSet' ? event.target : undefined;
}
