import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { familiarReference } from '../../model/reference.js';
import type { EventStore } from '../event-store.js';

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
      const lines = references.map(({ reference }) => `Loaded image: ${familiarReference(reference)}\n`);
      for (const { id } of images) if (!named.has(id)) lines.push(`Loaded image ID: ${id}\n`);
      // The output is the caller's: it stays open.
      await pipeline(Readable.from(lines), output, { end: false });
    },
    async save(names, output) {
      await pipeline(store.save(names), output);
    },
  };
}
