import { defineProjection, openStore } from '../../src/index.js';

/*
 * Counts how often each tag moved, and survives kill -9 at any moment:
 *
 *     node dist/scripts/examples/recovery.js [DIRECTORY]
 *
 * The view is derived from the log, so there is nothing to repair after a crash: `project` begins
 * with the newest state that was saved whole, folds the events after it, and resolves once the view
 * has every event. Without a saved state it folds from event 1. A new `version` does so too.
 */

export const tagMoves = defineProjection({
  name: 'tag-moves',
  version: 1,
  initial: () => new Map<string, number>(),
  evolve(moves, event) {
    if (event.type === 'ReferenceSet') moves.set(event.reference, (moves.get(event.reference) ?? 0) + 1);
    return moves;
  },
  encode: (moves) => new TextEncoder().encode(JSON.stringify([...moves])),
  decode: (bytes) => new Map(JSON.parse(new TextDecoder().decode(bytes)) as [string, number][]),
});

async function main(directory = './data'): Promise<void> {
  await using store = await openStore(directory, { create: false });
  using live = await store.project(tagMoves);
  console.log(`caught up to event ${live.seq} of ${store.log.head.seq}`);
  for (const [reference, count] of [...live.current].sort()) console.log(`${reference} was set ${count} times`);
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2]);
