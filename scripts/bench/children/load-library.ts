import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';

/**
 * Opens and closes an empty store in a temporary folder, so that later measurements exclude the
 * library's lazy loading of code.
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
