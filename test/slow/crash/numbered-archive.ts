import { createCipheriv } from 'node:crypto';
import type { ImageId } from '../../../src/model/digest.js';
import { digest, dockerEntries } from '../../archive/built-archives.js';
import { buildTar } from '../../support/build-tar.js';

/** Bytes of a layer, unless the caller says otherwise: too many to be kept in memory while the archive is read. */
const LAYER_BYTES = 300_000;

/** An archive of two images, the second on top of the first. */
export interface NumberedArchive {
  readonly number: number;
  readonly ids: readonly ImageId[];
  /** Canonical. */
  readonly references: readonly string[];
  readonly layerDigests: readonly string[];
  readonly bytes: Buffer;
}

/** Returns the archive of this number: the same bytes every time, and no layer or config of another number's. */
export async function numberedArchive(number: number, layerBytes = LAYER_BYTES): Promise<NumberedArchive> {
  const layers = await Promise.all(
    ['base', 'top'].map((name) => buildTar([{ name, body: noise(`${number} ${name}`, layerBytes) }])),
  );
  const images = [layers.slice(0, 1), layers].map((own) => {
    const rootfs = { type: 'layers', diff_ids: own.map(digest) };
    const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs }));
    return { id: digest(config), config, layers: own };
  });
  const tags = images.map((_, at) => `round/app:${number}-${at}`);
  const entries = dockerEntries(
    images,
    tags.map((tag) => ({ RepoTags: [tag] })),
  );
  return {
    number,
    ids: images.map(({ id }) => id as ImageId),
    references: tags.map((tag) => `docker.io/${tag}`),
    layerDigests: layers.map(digest),
    bytes: await buildTar(entries),
  };
}

function noise(seed: string, bytes: number): Buffer {
  return createCipheriv('aes-128-ctr', seed.padEnd(16), Buffer.alloc(16)).update(Buffer.alloc(bytes));
}
