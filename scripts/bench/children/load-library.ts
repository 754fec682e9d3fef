import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';

/**
 * Opens an empty store and closes it, in a folder that is removed again. The library imports its code when it is first needed: a
 * measurement that comes after this one is of the store, not of the loading of code.
 */
export async function loadLibrary(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'imagelog-bench-empty-'));
  try {
    const store = await openStore(join(directory, 'store'), { layers: 'none', actor: 'bench' });
    await store.close();
  } finally {
    await rm(directory, { recursive: true });
  }
}
