import { sha256 } from '#sha256';
import test from 'ava';
import fc from 'fast-check';
import { SnapshotDamage } from '../../../projections/snapshot-format.js';
import { createViews } from '../../../projections/views.js';
import { decodeViews, encodeViews, openViews } from '../../../projections/views-codec.js';
import { parseSnapshot } from '../../../src/store/snapshots/snapshot-folder.js';
import { eventStreams } from '../../support/event-streams.js';
import { plainViews } from '../../support/plain-views.js';
import { bytesOf } from '../../support/text-bytes.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

/** What `read` returns, or undefined when it throws SnapshotDamage. Any other failure is thrown. */
function unlessDamaged<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SnapshotDamage) return undefined;
    throw error;
  }
}

const encodedViews = eventStreams.map((events) => {
  const viewSet = createViews();
  viewSet.fold(events);
  return Uint8Array.from(Buffer.concat([...encodeViews(viewSet.views)]));
});

test('views of a snapshot are read to views that can be walked, or refused', async (t) => {
  await fuzz(t, mutated(encodedViews), (bytes) => {
    const views = unlessDamaged(() => decodeViews(bytes));
    if (views !== undefined) plainViews(views);
    unlessDamaged(() => openViews(bytes));
  });
});

test('the file of a snapshot with a right checksum over anything is a snapshot, or refused', async (t) => {
  const header = { store: 's', kind: 'views', versions: { a: 1 }, seq: 5, root: 'ab'.repeat(32) };
  const start = fc.constant(bytesOf(`imagelog snapshot 1\n${JSON.stringify(header)}\npayload`));
  await fuzz(t, mutated(start), (bytes) => {
    unlessDamaged(() => parseSnapshot(bytes));
    unlessDamaged(() => parseSnapshot(Uint8Array.from([...bytes, ...sha256(bytes)])));
  });
});
