import { StoreError } from '../../errors.js';
import { buildSteps, layerChain, type LayerTable } from '../../model/history.js';
import type { Digest } from '../../model/digest.js';
import type { Image } from '../../model/image.js';
import type { ArtifactEntry } from '../../store/artifacts.js';
import { artifactFactsOf, imageFacts, manifestsOf, referringTo, relatedArtifacts } from '../image-facts.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { openReading, type Reading, tellDeciding } from '../open-for.js';
import { findImage, findNamed, type ImageSource } from '../query.js';
import { RawJson, rawJsonText } from '../render/raw-json.js';
import { platformText, utcText } from '../../model/texts.js';
import { paintJson } from '../render/text.js';
import { historyTableLines } from '../render/image-table.js';

/** `imagelog inspect`: an indented JSON array, colored on a terminal; `--json`: one per line. */
export const inspectGrammar: Grammar = () => ({
  about:
    'Prints a JSON array with the config, its numbers as they are in it, and the facts derived from it; ' +
    'with --json one object a line. ' +
    'For a past point in time also of images deleted since. A reference gives in `target` the manifest or index that ' +
    'it stands for. The digest of a manifest or index gives its image, and says so in `via`; that of an artifact ' +
    'gives the artifact.',
  examples: [
    ['imagelog inspect shop/app:1.0', 'show the config, layers, parent, children and references'],
    ['imagelog inspect cb4c372bec4c', 'ask by the first digits of an id'],
    ['imagelog inspect --json shop/app:1.0 | jq .config.config.Env', 'take one thing out of it'],
  ],
  arguments: [['references, ids, or the first digits of ids or digests']],
  action: inspect,
});

async function inspect(context: CommandContext, names: readonly string[]): Promise<void> {
  await using reading = await openReading(context, { tells: false });
  const source = reading.images;
  const layers = source.layers.map();
  const images: unknown[] = [];
  const references: (string | undefined)[] = [];
  // Resolve all names before printing anything: a partial answer helps no script.
  for (const name of names) {
    const found = findNamed(source, name);
    references.push(found.reference);
    if (found.entry === undefined) {
      const facts = await inspected(reading, source.get(found.id), layers, context.signal);
      images.push({ ...facts, ...targetFacts(source, found.reference), ...viaFacts(found.via) });
    } else {
      images.push(inspectedArtifact(source, found.entry));
    }
  }
  await tellDeciding(context, reading, references);
  if (context.json) {
    for (const image of images) await context.out.line(rawJsonText(image));
    return;
  }
  await context.out.line(paintJson(rawJsonText(images, 2), context.colors));
}

async function inspected(reading: Reading, image: Image, layers: LayerTable, signal: AbortSignal): Promise<object> {
  const { images: source } = reading;
  const id = image.id();
  const { layers: diffIds, ...facts } = imageFacts(source, image, layers);
  const lastUpdated = source.getLastUpdated(id);
  const manifests = await manifestsOf(reading, id, signal);
  return {
    ...facts,
    platform: platformText(facts),
    layers: layerChain(diffIds).map(({ chainId, diffId }) => {
      const layer = layers.get(chainId);
      return { chainId, diffId, size: layer?.diffSize ?? null };
    }),
    lastUpdated: lastUpdated === undefined ? null : utcText(lastUpdated.getTime()),
    builtLocally: source.isBuiltLocally(id),
    manifests,
    artifacts: relatedArtifacts(source, id, manifests),
    config: rawConfig(image),
  };
}

/** The manifest or index that a reference stands for: what docker and registries show as its digest. */
function targetFacts(source: ImageSource, reference: string | undefined): object {
  if (reference === undefined) return {};
  const target = source.referenceEntries().find((entry) => entry.reference === reference)?.target;
  return target === undefined ? {} : { target };
}

/** What led to the image, where that was not its id or a reference. */
function viaFacts(via: object | undefined): object {
  return via === undefined ? {} : { via };
}

function inspectedArtifact(source: ImageSource, entry: ArtifactEntry): object {
  const { digest } = entry.artifact;
  return {
    ...artifactFactsOf(source, entry),
    contains: entry.contains,
    blobs: entry.blobs,
    artifacts: referringTo(source, [digest]),
    manifest: rawManifest(source.artifactManifest(digest), digest),
  };
}

function rawManifest(bytes: Uint8Array, digest: Digest): RawJson {
  const text = new TextDecoder().decode(bytes);
  try {
    JSON.parse(text);
    return new RawJson(text);
  } catch (cause) {
    throw new StoreError('CONTENT_CORRUPT', `cannot show the artifact ${digest}: it is not JSON`, { cause });
  }
}

// Its numbers may be beyond what JavaScript can hold, as Go's int64 is.
function rawConfig(image: Image): RawJson {
  const text = new TextDecoder().decode(image.rawJSON());
  try {
    JSON.parse(text);
    return new RawJson(text);
  } catch (error) {
    throw new StoreError('CONTENT_CORRUPT', `cannot show the config of ${image.imageID()}: it is not JSON`, {
      cause: error,
    });
  }
}

/** `imagelog history`: build steps of an image, last first. */
export const historyGrammar: Grammar = () => ({
  about: 'One row a build step, the last step first, with the size of the layer that it made.',
  examples: [
    ['imagelog history shop/app:1.0', 'show the build steps and what each one added'],
    ['imagelog history --json shop/app:1.0', 'the same for a program, with times in UTC'],
  ],
  arguments: [['a reference, an id or the first digits of an id']],
  action: history,
});

async function history(context: CommandContext, name: string): Promise<void> {
  await using reading = await openReading(context, { tells: false });
  const { images } = reading;
  const { id, reference } = findImage(images, name);
  const steps = buildSteps(images.get(id), images.layers.map()).reverse();
  await tellDeciding(context, reading, [reference]);
  if (context.json) {
    for (const step of steps) await writeJson(context, step);
    return;
  }
  const options = { colors: context.colors, width: context.out.columns, timeZone: context.timeZone };
  for (const line of historyTableLines(steps, options)) await context.out.line(line);
}
