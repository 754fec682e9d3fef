import { StoreError } from '../../errors.js';
import type { Descriptor } from '../../model/events.js';
import type { ImageId } from '../../model/digest.js';
import type { Image } from '../../model/image.js';
import type { EventStore } from '../../store/store.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { findImage } from '../query/find-image.js';
import { imageFacts, type LayerTable } from '../query/image-facts.js';
import { layerChain } from '../query/layer-chain.js';
import { jsonText } from '../render/json-text.js';
import { platformText } from '../render/image-table.js';
import { paintJson } from '../render/paint-json.js';
import { utcText } from '../render/time-text.js';

/** `imagelog inspect`: a JSON array of images, indented and painted on a terminal; with `--json` one a line. */
export async function inspect(context: CommandContext, names: readonly string[]): Promise<void> {
  await using store = await openFor(context, 'read');
  const layers = store.layers.map();
  const images: unknown[] = [];
  // All names are looked up before the first image is shown: half an answer helps no script.
  for (const name of names) {
    const { id } = findImage(store, name);
    images.push(await inspected(store, store.get(id), layers, context.signal));
  }
  if (context.json) {
    for (const image of images) await writeJson(context, image);
    return;
  }
  await context.out.line(paintJson(jsonText(images, 2), context.colors));
}

async function inspected(store: EventStore, image: Image, layers: LayerTable, signal: AbortSignal): Promise<unknown> {
  const id = image.id();
  const { layers: diffIds, ...facts } = imageFacts(store, image, layers);
  const lastUpdated = store.getLastUpdated(id);
  return {
    ...facts,
    platform: platformText(facts),
    layers: layerChain(diffIds).map(({ chainId, diffId }) => {
      const layer = layers.get(chainId);
      return { chainId, diffId, size: layer?.diffSize ?? null };
    }),
    lastUpdated: lastUpdated === undefined ? null : utcText(lastUpdated.getTime()),
    builtLocally: store.isBuiltLocally(id),
    manifests: await manifestsOf(store, id, signal),
    config: parsedConfig(image),
  };
}

async function manifestsOf(store: EventStore, image: ImageId, signal: AbortSignal): Promise<Descriptor[]> {
  const manifests = new Map<string, Descriptor>();
  for await (const event of store.log.read({ filter: { type: 'ManifestAdded', image }, signal })) {
    if (event.type === 'ManifestAdded') manifests.set(event.manifest.digest, event.manifest);
  }
  return [...manifests.values()];
}

function parsedConfig(image: Image): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(image.rawJSON()));
  } catch (error) {
    throw new StoreError('CONTENT_CORRUPT', `cannot show the config of ${image.imageID()}: it is not JSON`, {
      cause: error,
    });
  }
}
