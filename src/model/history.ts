import { boolCodec, type Codec, omitEmptyField, pointerCodec, stringCodec, structCodec } from './go-json/codecs.js';
import {
  readClock,
  sameInstant,
  type Timestamp,
  timestampCodec,
  timestampFromMs,
  utcTimestamp,
  ZERO_TIMESTAMP,
} from './timestamp.js';
import type { ChainId, DiffId } from './digest.js';
import type { LayerFacts } from './events.js';
import { createChainIds, type RootFS } from './rootfs.js';

/** A build step of an image (OCI image spec, config.md, `history`). */
export interface History {
  readonly created?: Timestamp | undefined;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
  /** Whether the step added no layer. */
  readonly emptyLayer: boolean;
}

/** Go's `image.History`, fields in Docker's order. */
export const historyCodec: Codec<History> = structCodec<History>(
  {
    created: omitEmptyField('created', pointerCodec(timestampCodec)),
    createdBy: omitEmptyField('created_by', stringCodec),
    author: omitEmptyField('author', stringCodec),
    comment: omitEmptyField('comment', stringCodec),
    emptyLayer: omitEmptyField('empty_layer', boolCodec),
  },
  (zero) => ({ ...zero }),
);

/** Returns a history entry created now, in UTC; `now` returns milliseconds since the epoch. */
export function newHistory(
  author: string,
  comment: string,
  createdBy: string,
  isEmptyLayer: boolean,
  now: () => number = Date.now,
): History {
  return { created: timestampFromMs(readClock(now)), createdBy, author, comment, emptyLayer: isEmptyLayer };
}

/** Whether two entries are equal; compares `created` as an instant, not as text. */
export function sameHistory(a: History, b: History): boolean {
  return (
    a.createdBy === b.createdBy &&
    a.author === b.author &&
    a.comment === b.comment &&
    a.emptyLayer === b.emptyLayer &&
    (a.created === undefined || b.created === undefined ? a.created === b.created : sameInstant(a.created, b.created))
  );
}

/* Build steps and layers of an image, as `history` and `inspect` show them. */

/** Layers of a store at one moment; empty if it keeps none. */
export type LayerTable = ReadonlyMap<ChainId, Pick<LayerFacts, 'size' | 'diffSize'>>;

/** A layer and the chain id of the stack ending with it. */
interface ChainedLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
}

/** Returns the layers bottom to top, each with its chain id. */
export function layerChain(diffIds: readonly DiffId[]): ChainedLayer[] {
  return createChainIds(diffIds).map((chainId, at) => ({ diffId: diffIds[at] as DiffId, chainId }));
}

/** Returns a time of the config in UTC, with its nanoseconds; null if it is absent or Go's zero time. */
export function configTimeText({ created }: { readonly created?: Timestamp | undefined }): Timestamp | null {
  return created === undefined || sameInstant(created, ZERO_TIMESTAMP) ? null : utcTimestamp(created);
}

/** One build step of an image. */
export interface BuildStep {
  /** In UTC; null if the config omits it. */
  readonly created: Timestamp | null;
  readonly createdBy: string;
  readonly comment: string;
  /** Bytes of regular files the step added; 0 without a layer, null if unknown to the store. */
  readonly size: number | null;
  /** The step's layer; null if it made none. */
  readonly chainId: ChainId | null;
  readonly diffId: DiffId | null;
}

/** What of an image says how it was built. */
interface Built {
  readonly rootFS: RootFS;
  readonly history: readonly History[];
}

/** Returns the build steps, oldest first; layers missing from the history come last. */
export function buildSteps({ rootFS, history }: Built, layers: LayerTable): BuildStep[] {
  const chain = layerChain(rootFS.diffIds);
  const sized = chain.map((layer) => ({ ...layer, size: layers.get(layer.chainId)?.diffSize ?? null }));
  const steps: BuildStep[] = [];
  for (const { createdBy, comment, emptyLayer, ...step } of history) {
    const layer = emptyLayer ? undefined : sized.shift();
    steps.push({
      created: configTimeText(step),
      createdBy,
      comment,
      size: emptyLayer ? 0 : (layer?.size ?? null),
      chainId: layer?.chainId ?? null,
      diffId: layer?.diffId ?? null,
    });
  }
  return [...steps, ...sized.map((layer) => ({ created: null, createdBy: '', comment: '', ...layer }))];
}

/** Shows the command of a step on one line: builders store shell commands with many spaces. */
export function commandText(createdBy: string): string {
  return createdBy
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^\/bin\/sh -c /, 'RUN ')
    .replace(/\s+/g, ' ')
    .trim();
}
