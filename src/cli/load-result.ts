import type { Digest } from '../model/digest.js';
import { formatPlatform } from '../model/platform.js';
import { familiarReference } from '../model/reference.js';
import type { EventStore } from '../store/event-store.js';
import type { LoadedReference, LoadResult } from '../store/store.js';
import { type CommandContext, writeJson } from './context.js';
import { pointedText } from '../log/event-json.js';
import { noticeLine } from './failure.js';
import { pad, widest } from './render/display-width.js';
import { countText, NONE, printable, shortId } from '../model/texts.js';

/** What was loaded, and how to begin its lines. */
interface Loaded {
  /** Of the archive or image. */
  readonly name: string;
  /** What it is. */
  readonly what: string;
  /** What the JSON has besides the result. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly result: LoadResult;
}

/** Prints what a load or pull brought: its notices, then lines, JSON, or only ids. */
export async function tellLoaded(context: CommandContext, store: EventStore, loaded: Loaded): Promise<void> {
  const { facts, result } = loaded;
  const { out, err, errColors, json, quiet } = context;
  for (const notice of result.notices) await err.line(noticeLine(notice, errColors));
  if (json) {
    await writeJson(context, { ...facts, ...result });
  } else if (quiet) {
    for (const { id } of result.images) await out.line(id);
  } else {
    for (const line of resultLines(context, store, loaded)) await out.line(line);
  }
}

/** What an archive holds beside the targets of its names. */
interface LoadedOther {
  readonly name: string;
  readonly created: boolean;
  readonly text: string;
}

function resultLines({ colors }: CommandContext, store: EventStore, { name, what, result }: Loaded): string[] {
  const { images, references, artifacts, layersAdded } = result;
  const others = [...otherImages(store, result), ...unnamedArtifacts(store, result)];
  const created = images.filter((image) => image.created).length;
  const addedArtifacts = artifacts.filter((artifact) => artifact.created).length;
  const counts = [
    `${countText(images.length, 'image')} (${created} new)`,
    `${countText(layersAdded, 'new layer')}`,
    ...(artifacts.length === 0 ? [] : [`${countText(artifacts.length, 'artifact')} (${addedArtifacts} new)`]),
  ];
  const names = references.map(({ reference }) => printable(familiarReference(reference)));
  const width = widest([...names, ...others.map((other) => other.name)]);
  return [
    `${colors.bold(printable(name))}: ${what}, ${counts.join(', ')}`,
    ...references.map((reference, at) => `  ${referenceLine(reference, pad(names[at] ?? '', width), colors)}`),
    ...others.map((other) => `  ${otherLine(other, width, colors)}`),
  ];
}

function referenceLine(
  { image, previous, artifact, previousArtifact }: LoadedReference,
  name: string,
  colors: CommandContext['colors'],
): string {
  const id = colors.yellow(pointedText(image, artifact));
  if (previous === undefined && previousArtifact === undefined) return `${colors.green('loaded')}  ${name}  ${id}`;
  return `${colors.magenta('moved ')}  ${name}  ${id}, was ${colors.yellow(pointedText(previous, previousArtifact))}`;
}

// Images of further platforms share the first one's reference; those of unnamed archives may have one
// of an earlier load.
function otherImages(store: EventStore, { images, references }: LoadResult): LoadedOther[] {
  const first = new Set(references.map(({ image }) => image));
  const loaded = new Set(references.map(({ reference }) => reference));
  return images
    .filter(({ id }) => !first.has(id))
    .map(({ id, created, platform }) => {
      const known = store.references(id);
      const reference = known.find((each) => loaded.has(each)) ?? known[0];
      const name = reference && printable(`${familiarReference(reference)} ${formatPlatform(platform)}`);
      return { name: name ?? NONE, created, text: shortId(id) };
    });
}

/** Artifacts and indexes that only their digest finds; those in an index or about something are not listed. */
function unnamedArtifacts(store: EventStore, { artifacts }: LoadResult): LoadedOther[] {
  if (artifacts.length === 0) return [];
  const held = new Set(store.referenceEntries().map(({ target }) => target?.digest));
  const indexes = new Set<Digest>();
  for (const { artifact, contains } of store.artifacts()) {
    if (contains.length > 0) indexes.add(artifact.digest);
    for (const { digest } of contains) held.add(digest);
  }
  return artifacts
    .filter(({ digest, subject }) => !held.has(digest) && subject === undefined)
    .map(({ digest, created }) => {
      return { name: NONE, created, text: `${indexes.has(digest) ? 'index' : 'artifact'} ${shortId(digest)}` };
    });
}

function otherLine({ created, name, text }: LoadedOther, width: number, colors: CommandContext['colors']): string {
  const verb = created ? colors.green('loaded') : colors.dim('known ');
  return `${verb}  ${colors.dim(pad(name, width))}  ${colors.yellow(text)}`;
}
