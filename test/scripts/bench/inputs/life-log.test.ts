import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { hasChildren, parentOf } from '../../../../projections/images.js';
import { createViews } from '../../../../projections/views.js';
import { makeLife, openLife } from '../../../../scripts/bench/inputs/life-log.js';
import { movingReferences } from '../../../../scripts/bench/inputs/life.js';
import type { StoredEvent } from '../../../../src/model/events.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

const SIZE = 4_000;

async function eventsOf(directory: string): Promise<StoredEvent[]> {
  await using store = await openLife(directory);
  const events: StoredEvent[] = [];
  for await (const event of store.log.read()) events.push(event);
  return events;
}

/** What an event says that cannot be, by the events before it; undefined when all is well. */
function faultOf(
  event: StoredEvent,
  { images, references, metadata }: ReturnType<typeof createViews>['views'],
): string | undefined {
  const isThere = 'image' in event && event.image !== undefined && images.has(event.image);
  switch (event.type) {
    case 'ImageCreated':
      return isThere ? 'it is there already' : undefined;
    case 'ImageDeleted':
      if (!isThere || hasChildren(images, event.image) || references.byImage.has(event.image)) return 'it is in use';
      if (images.get(event.image)?.chainId !== event.chainId) return 'it had another chain';
      return parentOf(images, event.image) === event.parent ? undefined : 'it had another parent';
    case 'ParentSet':
      if (!isThere || !images.has(event.parent)) return 'one is not there';
      return parentOf(images, event.image) === event.previous ? undefined : 'it had another parent';
    case 'ParentCleared':
      return parentOf(images, event.image) === event.parent ? undefined : 'it had another parent';
    case 'MetadataSet':
      return isThere ? undefined : 'it is not there';
    case 'MetadataCleared':
      return metadata.get(event.image)?.has(event.key) ? undefined : 'it had none';
    case 'ReferenceSet':
      if (!isThere || event.image === event.previous) return 'it cannot be pointed at';
      return references.byName.get(event.reference)?.image === event.previous ? undefined : 'it pointed elsewhere';
    case 'ReferenceRemoved':
      return references.byName.get(event.reference)?.image === event.image ? undefined : 'it pointed elsewhere';
    default:
      return 'it has a layer';
  }
}

test('a made-up log is one that a store could have written', async (t) => {
  const directory = await temporaryDirectory(t);
  await makeLife(directory, SIZE);
  const events = await eventsOf(directory);
  t.is(events.length, SIZE);
  const viewSet = createViews();
  const faults: string[] = [];
  let time = 0;
  for (const event of events) {
    const fault = faultOf(event, viewSet.views);
    if (fault !== undefined) faults.push(`event ${event.seq}, ${event.type}: ${fault}`);
    if (event.time < time) faults.push(`event ${event.seq} is earlier than the one before`);
    time = event.time;
    viewSet.fold([event]);
  }
  t.deepEqual(faults, []);
  await using store = await openLife(directory);
  t.is(store.len(), viewSet.views.images.size);
  // Each is read and checked against its id.
  t.true([...store.map().values()].every((image) => image.architecture === 'amd64'));
});

test('a made-up log has what a life has', async (t) => {
  const directory = await temporaryDirectory(t);
  await makeLife(directory, SIZE);
  const events = await eventsOf(directory);
  const ofType = (type: StoredEvent['type']): number => events.filter((event) => event.type === type).length;
  t.is(ofType('ImageCreated'), 0.3 * SIZE);
  for (const type of ['ImageDeleted', 'ParentSet', 'ParentCleared', 'MetadataSet', 'ReferenceRemoved'] as const)
    t.true(ofType(type) > 0, type);
  const moves = events.filter((event) => event.type === 'ReferenceSet' && movingReferences().includes(event.reference));
  t.true(moves.length > SIZE / 10);
  t.true(new Set(events.map(({ actor }) => actor)).size > 10);
  t.true(new Set(events.map(({ transaction }) => transaction.count)).size > 10);
  const days = ((events.at(-1)?.time ?? 0) - (events[0]?.time ?? 0)) / 86_400_000;
  t.true(days > 100 && days < 300, `${days} days`);
  const samples = JSON.parse(await readFile(join(directory, 'samples.json'), 'utf8')) as { images: string[] };
  const created = new Set(events.flatMap((event) => (event.type === 'ImageCreated' ? event.image : [])));
  t.true(samples.images.length === 0.3 * SIZE && samples.images.every((image) => created.has(image as never)));
});

test('the same size gives the same log', async (t) => {
  const [one, other] = [await temporaryDirectory(t), await temporaryDirectory(t)];
  await makeLife(one, 1_000);
  await makeLife(other, 1_000);
  t.deepEqual(await eventsOf(one), await eventsOf(other));
});
