import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ExecutionContext } from 'ava';
import type { EventStore } from '../../src/store/event-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { runProgram } from './run-program.js';

/** An archive that this store wrote, and the store. */
export interface SavedFile {
  readonly store: EventStore;
  readonly path: string;
  /** A directory for what other tools write. */
  readonly directory: string;
}

/** Loads an archive of the fixtures, and saves all its names to a file. */
export async function savedFile(t: ExecutionContext, fixture: string, format: 'docker' | 'oci'): Promise<SavedFile> {
  const store = await temporaryStore(t);
  await store.load(archivePath(fixture));
  const directory = await temporaryDirectory(t);
  const path = join(directory, `${format}.tar`);
  const names = store.referenceEntries().map(({ reference }) => reference);
  await pipeline(store.save(names, { format }), createWriteStream(path));
  return { store, path, directory };
}

/** Unpacks an OCI layout from its tar and returns where it is. */
export async function extracted({ path, directory }: SavedFile): Promise<string> {
  const layout = join(directory, 'layout');
  await mkdir(layout);
  await runProgram('tar', '-xf', path, '-C', layout);
  return layout;
}
