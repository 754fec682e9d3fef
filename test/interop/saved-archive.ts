import { createWriteStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ExecutionContext } from 'ava';
import { parseReference } from '../../src/model/reference.js';
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

/** Saves one name as an OCI layout, in which its tag is the only one. */
export async function savedName({ store, directory }: SavedFile, reference: string): Promise<string> {
  const path = join(await mkdtemp(join(directory, 'name-')), 'oci.tar');
  await pipeline(store.save(reference, { format: 'oci' }), createWriteStream(path));
  return path;
}

/** The name in a layout of a reference with a tag: the tag. */
export function nameInLayout(reference: string): string {
  return parseReference(reference).tag ?? '';
}

/** Unpacks an OCI layout from its tar and returns where it is. */
export async function extracted(path: string): Promise<string> {
  const layout = await mkdtemp(join(dirname(path), 'layout-'));
  await runProgram('tar', '-xf', path, '-C', layout);
  return layout;
}
