import { fileURLToPath } from 'node:url';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';

/** What a reader is told; a message of a process too. */
export interface ReadStore {
  readonly events: readonly string[];
  readonly images: readonly string[];
  readonly references: readonly string[];
  readonly past: readonly string[];
  readonly resolved: readonly (string | undefined)[];
  readonly savedBytes: number;
  readonly violations: number;
}

/** Opens the store in `directory` for reading, reads all that there is, and backs it up to `target` if given. */
export async function readWholeStore(directory: string, target?: string): Promise<ReadStore> {
  const store = await openStore(directory, { readOnly: true });
  try {
    const answer = await readAll(store);
    if (target !== undefined) await store.backup(target);
    return answer;
  } finally {
    await store.close();
  }
}

async function readAll(store: EventStore): Promise<ReadStore> {
  const events: string[] = [];
  for await (const { seq, type, actor } of store.log.read()) events.push(`${seq} ${type} ${actor}`);
  const past = await store.at(Math.ceil(events.length / 2));
  const references = store.referenceEntries().map(({ reference }) => reference);
  let savedBytes = 0;
  for await (const chunk of store.save(references)) savedBytes += (chunk as Uint8Array).length;
  return {
    events,
    images: [...store.map()].map(([id, image]) => `${id} ${image.rawJSON().length}`),
    references,
    past: [...past.map().keys()],
    resolved: await Promise.all(references.map((name) => store.resolve(name, { at: events.length }))),
    savedBytes,
    violations: (await store.verify()).length,
  };
}

// As its own process: the directory, then where to back it up to.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.send?.(await readWholeStore(process.argv[2] ?? '', process.argv[3]));
}
