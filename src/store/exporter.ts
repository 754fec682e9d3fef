import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { familiarReference } from '../model/reference.js';
import type { EventStore } from './store.js';

/** Loads and saves archives, with the shape of the Go package's `Exporter`. */
export interface Exporter {
  /** Loads the archive `input` and writes what Docker says of it to `output`, a line for each image; nothing when `quiet`. */
  load(input: AsyncIterable<Uint8Array>, output: Writable, quiet: boolean): Promise<void>;
  /** Writes the docker archive of the named images to `output`, and ends it. */
  save(names: readonly string[], output: Writable): Promise<void>;
}

/** Returns the exporter of a store. Its methods throw what `load` and `save` of the store throw. */
export function createExporter(store: Pick<EventStore, 'load' | 'save'>): Exporter {
  return {
    async load(input, output, quiet) {
      const { images, references } = await store.load(input);
      if (quiet) return;
      const named = new Set(references.map(({ image }) => image));
      for (const { reference } of references) output.write(`Loaded image: ${familiarReference(reference)}\n`);
      for (const { id } of images) if (!named.has(id)) output.write(`Loaded image ID: ${id}\n`);
    },
    async save(names, output) {
      const archive: Readable = store.save(names);
      await pipeline(archive, output);
    },
  };
}
