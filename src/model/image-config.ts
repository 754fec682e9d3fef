import { StoreError } from '../errors.js';
import { MAX_CONFIG_BYTES, MAX_CONFIG_VALUES, MAX_HISTORY_ENTRIES } from '../limits.js';
import type { DiffId } from './digest.js';
import { type History, historyCodec } from './history.js';
import { type Codec, decodeJson } from './json/codec.js';
import { pointerCodec, sliceCodec } from './json/composite-codecs.js';
import { JsonError } from './json/json-error.js';
import type { JsonLimits } from './json/parse-json.js';
import { stringCodec, textCodec } from './json/scalar-codecs.js';
import { field, omitEmptyField, sortedFields, structCodec } from './json/struct-codec.js';
import { type V1Image, v1ImageFields } from './v1-image.js';

/** The `rootfs` of a config. */
export interface RootFSConfig {
  readonly type: string;
  readonly diffIds: readonly (DiffId | '')[] | null;
}

/** What a config holds (OCI image spec, config.md, and Docker's additions), as decoded: nothing is checked yet. */
export interface ImageConfig extends V1Image {
  readonly rootfs?: RootFSConfig | undefined;
  readonly history: readonly History[] | null;
  readonly osVersion: string;
  readonly osFeatures: readonly string[] | null;
}

const rootfsCodec: Codec<RootFSConfig> = structCodec<RootFSConfig>({
  type: field('type', stringCodec),
  diffIds: omitEmptyField('diff_ids', sliceCodec(textCodec<DiffId>())),
});

/** Go's `image.Image`. */
export const imageConfigCodec: Codec<ImageConfig> = structCodec<ImageConfig>(
  sortedFields<ImageConfig>({
    ...v1ImageFields,
    history: omitEmptyField('history', sliceCodec(historyCodec)),
    osFeatures: omitEmptyField('os.features', sliceCodec(stringCodec)),
    osVersion: omitEmptyField('os.version', stringCodec),
    rootfs: omitEmptyField('rootfs', pointerCodec(rootfsCodec)),
  }),
);

/** A config that was taken in may be longer than one that would be taken in now. */
const STORED: JsonLimits = { maxNumberLength: MAX_CONFIG_BYTES };
const INCOMING: JsonLimits = { maxValues: MAX_CONFIG_VALUES };

/**
 * Returns what the config `bytes` hold.
 * @throws {StoreError} CONFIG_INVALID when they are no JSON object, a field has the wrong type, or `rootfs` is missing
 */
export function decodeImageConfig(bytes: Uint8Array): ImageConfig & { readonly rootfs: RootFSConfig } {
  return withRootFS(readImageConfig(bytes, STORED));
}

/**
 * Returns what the config `bytes` hold, in no more time than MAX_CONFIG_VALUES values take.
 * @throws {StoreError} CONFIG_INVALID as `decodeImageConfig`, and when they hold more values than MAX_CONFIG_VALUES, more
 *   build steps than MAX_HISTORY_ENTRIES, or a number longer than MAX_JSON_NUMBER_LENGTH
 */
export function decodeIncomingConfig(bytes: Uint8Array): ImageConfig & { readonly rootfs: RootFSConfig } {
  const config = withRootFS(readImageConfig(bytes, INCOMING));
  const found = config.history?.length ?? 0;
  if (found > MAX_HISTORY_ENTRIES) {
    throw invalid(`history: expected at most ${MAX_HISTORY_ENTRIES} build steps, found ${found}`);
  }
  return config;
}

function withRootFS(config: ImageConfig): ImageConfig & { readonly rootfs: RootFSConfig } {
  const { rootfs } = config;
  if (rootfs === undefined) throw invalid('expected an object rootfs, found none');
  return config as ImageConfig & { readonly rootfs: RootFSConfig };
}

function readImageConfig(bytes: Uint8Array, limits: JsonLimits): ImageConfig {
  try {
    return decodeJson(bytes, imageConfigCodec, limits);
  } catch (error) {
    if (error instanceof JsonError) throw invalid(error.message, error);
    throw error;
  }
}

function invalid(problem: string, cause?: JsonError): StoreError {
  const data = cause === undefined || cause.path === '' ? {} : { field: cause.path };
  return new StoreError('CONFIG_INVALID', `the image config cannot be read: ${problem}`, { cause, data });
}
