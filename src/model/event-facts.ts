import type { ChainId, Descriptor, Digest, ImageId } from './digest.js';
import type { ArtifactAdded, ArtifactFacts, Envelope } from './events.js';
import type { FieldReader } from './record-fields.js';

/* What the table of events says of a type of event, and the words and facts that several types share. */

/** A config, manifest or index that an event names. */
export interface NamedContent {
  readonly digest: Digest;
  readonly kind: 'config' | 'manifest' | 'index' | 'artifact';
  /** Bytes. */
  readonly size: number;
  /** The image whose config or manifest it is. */
  readonly image?: ImageId | undefined;
}

/** Keys of the facts that events change and commands read, by kind. */
interface FactKeys {
  readonly image: ImageId;
  readonly parent: ImageId;
  readonly children: ImageId;
  readonly metadata: ImageId;
  readonly manifests: ImageId;
  readonly reference: string;
  /** Names of an image. */
  readonly references: ImageId;
  readonly layer: ChainId;
  /** Number of images and layers on a chain. */
  readonly uses: ChainId;
  readonly content: Digest;
  readonly blob: Digest;
  readonly artifact: Digest;
  /** Artifacts whose subject it is. */
  readonly about: Digest;
  /** Indexes, kept as artifacts, that contain it. */
  readonly indexes: Digest;
  /** References that point at the index or artifact. */
  readonly target: Digest;
}

/** A kind of fact. */
export type FactKind = keyof FactKeys;

/** A fact that an event changes. */
export type ChangedFact = { [Kind in FactKind]: readonly [kind: Kind, key: FactKeys[Kind]] }[FactKind];

/** How a summary shows what an event names. */
export interface SummaryFormat {
  readonly id: (digest: Digest) => string;
  readonly bytes: (size: number) => string;
  readonly reference: (canonical: string) => string;
  readonly value: (metadata: Uint8Array) => string;
}

/** What a transaction does, in the words of the command line; the first that fits names it. */
export const verbs = ['rm', 'load', 'erase', 'tag', 'untag', 'set', 'clear'] as const;

/** A word of `verbs`. */
export type Verb = (typeof verbs)[number];

/** Everything about one type of event. */
export interface EventFacts<Body> {
  /** Number of the type in a record; never reused. */
  readonly code: number;
  /** Verb of the command that writes it, and what a transaction counts: `load`, `image`. */
  readonly does: readonly [verb: Verb, noun: string];
  /**
   * Reads the type's fields in the order of src/log/README.md. Builds every event as one object
   * literal: merging them later takes a seventh longer, by a spread twenty times as long.
   */
  readonly read: (envelope: Envelope, fields: FieldReader) => Envelope & Body;
  /** Returns the type's fields in the same order, as in a record. */
  readonly write: (event: Body) => unknown[];
  /** Images it is about, its own first, including former targets and parents; may repeat. */
  readonly images: (event: Body) => readonly (ImageId | undefined)[];
  /** References it is about. */
  readonly references: (event: Body) => readonly string[];
  /** Chains it is about, its own first, including the layer's parent. */
  readonly chains: (event: Body) => readonly (ChainId | undefined)[];
  /** Content it names, which became durable with it or before. */
  readonly content: (event: Body) => NamedContent | undefined;
  /** Layer files it names, which became durable before it. */
  readonly blobs: (event: Body) => readonly Descriptor[];
  /** Content or layer file whose bytes it removes. */
  readonly erases: (event: Body) => Digest | undefined;
  readonly effect: 'adds' | 'changes' | 'removes';
  /** What it changes in the views, without what only the views know. */
  readonly changes: (event: Body) => readonly ChangedFact[];
  /** One line of text; contains texts of callers as they are. */
  readonly summary: (event: Body, show: SummaryFormat) => string;
}

/** No value. */
export const NONE: readonly never[] = [];
/** Returns no value. */
export const none = (): readonly never[] => NONE;
const nothing = (): undefined => undefined;

/** What a type is not about and does not name. In each entry, so that all have one shape. */
export const NO_FACTS = {
  images: none,
  references: none,
  chains: none,
  content: nothing,
  blobs: none,
  erases: nothing,
};

/** The number of uses of a chain changes; nothing without one. */
export function usesOf(chainId: ChainId | undefined): readonly ChangedFact[] {
  return chainId === undefined ? [] : [['uses', chainId]];
}

/** The children of an image change; nothing without one. */
export function childrenOf(parent: ImageId | undefined): readonly ChangedFact[] {
  return parent === undefined ? [] : [['children', parent]];
}

/** The reference changes, and the names of each image it resolved to or will. */
export function resolutionOf(reference: string, images: readonly (ImageId | undefined)[]): readonly ChangedFact[] {
  return [['reference', reference], ...distinct(images).map((image) => ['references', image] as const)];
}

/** Digests of content and artifacts are looked up where those of images are. */
export function namedId(digest: Digest | undefined): ImageId | undefined {
  return digest as ImageId | undefined;
}

/** Shows what a reference points at: an image, or else an artifact. */
export function pointed(
  image: ImageId | undefined,
  target: Digest | undefined,
  show: Pick<SummaryFormat, 'id'>,
): string {
  if (image !== undefined) return show.id(image);
  return target === undefined ? 'nothing' : `artifact ${show.id(target)}`;
}

/** Names the type of an artifact: its own, `index`, or else the media type of its manifest. */
export function artifactTypeText({
  artifact,
  artifactType,
  contains,
}: Pick<ArtifactAdded, 'artifact' | 'artifactType' | 'contains'>): string {
  if (artifactType !== '') return artifactType;
  return contains.length > 0 ? 'index' : artifact.mediaType;
}

/** The content and the target of references that a reference names. */
export function targetFacts(target: Descriptor | undefined): readonly ChangedFact[] {
  if (target === undefined) return [];
  return [
    ['content', target.digest],
    ['target', target.digest],
  ];
}

/** The artifact changes, what is about its subject, and its blobs. */
export function artifactChanges({ artifact, subject, blobs }: ArtifactFacts): readonly ChangedFact[] {
  const about: readonly ChangedFact[] = subject === undefined ? [] : [['about', subject.digest]];
  return [['artifact', artifact.digest], ...about, ...blobs.map(({ digest }) => ['blob', digest] as const)];
}

/** Shows what was there before, in parentheses; empty for nothing. */
export function was(previous: Digest | undefined, show: SummaryFormat): string {
  return previous === undefined ? '' : ` (was ${show.id(previous)})`;
}

/** Returns the ids that are there, each once. */
export function distinct<Id>(ids: readonly (Id | undefined)[]): Id[] {
  const [first] = ids;
  if (ids.length < 2) return first === undefined ? [] : [first];
  return [...new Set(ids)].filter((id): id is Id & {} => id !== undefined);
}
