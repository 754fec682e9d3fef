import { StoreError } from '../errors.js';
import type { DiffId } from './digest.js';
import { type History, historyCodec } from './history.js';
import { type Codec, decodeJson } from './json/codec.js';
import { pointerCodec, sliceCodec } from './json/composite-codecs.js';
import { JsonError } from './json/json-error.js';
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

/**
 * Returns what the config `bytes` hold.
 * @throws {StoreError} CONFIG_INVALID when they are no JSON object, a field has the wrong type, or `rootfs` is missing
 */
export function decodeImageConfig(bytes: Uint8Array): ImageConfig & { readonly rootfs: RootFSConfig } {
  const config = readImageConfig(bytes);
  const { rootfs } = config;
  if (rootfs === undefined) throw invalid('expected an object rootfs, found none');
  return config as ImageConfig & { readonly rootfs: RootFSConfig };
}

function readImageConfig(bytes: Uint8Array): ImageConfig {
  try {
    return decodeJson(bytes, imageConfigCodec);
  } catch (error) {
    if (error instanceof JsonError) throw invalid(error.message, error);
    throw error;
  }
}

function invalid(problem: string, cause?: JsonError): StoreError {
  const data = cause === undefined || cause.path === '' ? {} : { field: cause.path };
  return new StoreError('CONFIG_INVALID', `the image config cannot be read: ${problem}`, { cause, data });
}
