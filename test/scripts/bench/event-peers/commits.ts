import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmmett } from '../../../../scripts/bench/event-peers/emmett.js';
import type { OpenEventPeer } from '../../../../scripts/bench/event-peers/event-peer.js';
import { openHypercore } from '../../../../scripts/bench/event-peers/hypercore.js';
import { openLmdb } from '../../../../scripts/bench/event-peers/lmdb.js';
import { openOurStore } from '../../../../scripts/bench/event-peers/our-store.js';
import { smallEvents } from '../../../../scripts/bench/event-peers/small-events.js';
import { openSqliteTables } from '../../../../scripts/bench/event-peers/sqlite-tables.js';

/*
 * Commits batches of events to a peer; arguments: its name, an empty directory and how many. Looks
 * for a file after each commit, so that a trace tells them apart.
 */

const PEERS: Readonly<Record<string, OpenEventPeer>> = {
  ours: openOurStore,
  emmett: openEmmett,
  hypercore: openHypercore,
  sqlite: openSqliteTables,
  lmdb: openLmdb,
};

const [name, directory, count] = process.argv.slice(2) as [string, string, string];
const batches = await smallEvents(directory, Number(count));
const open = PEERS[name];
if (open === undefined) throw new RangeError(`there is no peer ${name}`);
await using peer = await open(join(directory, 'peer'));
mark('begin');
for (const batch of batches) {
  await peer.append(batch);
  mark('commit');
}

function mark(what: string): void {
  try {
    readFileSync(join(directory, `mark ${what}`));
  } catch {
    return;
  }
  throw new Error('a mark is not a file');
}
