import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { readTar } from '../../src/archive/tar-reader.js';
import type { ImageId } from '../../src/model/digest.js';
import { collect } from './build-tar.js';
import { fixturePath } from './fixtures.js';

/** Every file of a tar archive of the fixtures, by name. */
export async function filesOfArchive(name: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for await (const entry of readTar(createReadStream(fixturePath('archives', name)))) {
    if (entry.type === 'file') files.set(entry.name, await collect(entry.body));
  }
  return files;
}

/** An image of a docker archive: its config, and its layers as tars from the bottom up. */
export interface DockerImage {
  readonly id: ImageId;
  readonly config: Uint8Array;
  readonly layers: readonly Uint8Array[];
}

/** The images of a docker archive of the fixtures, in its order. */
export async function imagesOfArchive(name: string): Promise<DockerImage[]> {
  const files = await filesOfArchive(name);
  const bytesOf = (path: string): Uint8Array => {
    const bytes = files.get(path);
    if (bytes === undefined) throw new Error(`${name} has no ${path}`);
    return bytes;
  };
  const manifest = JSON.parse(Buffer.from(bytesOf('manifest.json')).toString()) as {
    Config: string;
    Layers: string[];
  }[];
  return manifest.map(({ Config, Layers }) => {
    const config = bytesOf(Config);
    const id = `sha256:${createHash('sha256').update(config).digest('hex')}` as ImageId;
    return { id, config, layers: Layers.map(bytesOf) };
  });
}
