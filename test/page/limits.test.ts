import test from 'ava';
import {
  MAX_PAGE_ANCESTORS,
  MAX_PAGE_ARTIFACT_EVENTS,
  MAX_PAGE_CHILDREN,
  MAX_PAGE_COMPARED_EVENTS,
  MAX_PAGE_DIGESTS,
  MAX_PAGE_LISTED_PERIODS,
  MAX_PAGE_PENDING_EVENTS,
  MAX_PAGE_PERIODS,
  MAX_PAGE_SHARING_EVENTS,
  MAX_PAGE_TRANSACTION_EVENTS,
} from '../../src/limits.js';
import type { ChainId, DiffId, Digest, ImageId } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import { questions } from '../../src/page/questions.js';
import { Reading } from '../../src/page/reading.js';
import { type MadeLog, madeLog, type MakeEvent } from './made-log.js';
import { sourceOf } from './store-source.js';

/* What the page reads and shows at most, and that it says what it left out. */

function digest(number: number): Digest {
  return `sha256:${number.toString(16).padStart(64, '0')}` as Digest;
}

const image = (number: number): ImageId => digest(number) as ImageId;
const created = (envelope: Parameters<MakeEvent>[0], more: object = {}): StoredEvent => ({
  ...envelope,
  type: 'ImageCreated',
  image: image(envelope.seq),
  size: 1,
  os: 'linux',
  architecture: 'amd64',
  ...more,
});

async function read(log: MadeLog): Promise<Reading> {
  const reading = await Reading.begin(sourceOf(log));
  await reading.read();
  return reading;
}

test('so many new events are held back until they are checked; of more the page says that it checks', async (t) => {
  const logs = [300, 300 + MAX_PAGE_PENDING_EVENTS, 301 + MAX_PAGE_PENDING_EVENTS].map((size) => madeLog(size));
  for (const [next, isShown] of [
    [1, false],
    [2, true],
  ] as const) {
    let log = logs[0] as MadeLog;
    const reading = await Reading.begin({ ...sourceOf(log), ...growing(() => log) });
    await reading.read();
    log = logs[next] as MadeLog;
    await reading.refresh();
    const seen = new Set<string>();
    await reading.read({
      onProgress: () => seen.add(`${reading.verdict?.size} ${reading.timeline.last > 300}`),
    });
    t.deepEqual([...seen], [isShown ? 'undefined true' : '300 false']);
    t.is(reading.timeline.last, log.size);
  }
});

function growing(log: () => MadeLog): Pick<ReturnType<typeof sourceOf>, 'checkpoint' | 'records'> {
  return {
    checkpoint: async () => log().checkpoint,
    records: (index, size) => sourceOf(log()).records(index, size),
  };
}

test('a comparison of moments reads so many events beside references', async (t) => {
  const reading = await read(madeLog(MAX_PAGE_COMPARED_EVENTS + 1, (envelope) => created(envelope)));
  const compared = (one: number): ReturnType<typeof questions.compareMoments> =>
    questions.compareMoments(reading, { one, other: reading.timeline.last, limit: 1 });
  t.like(await compared(0), { count: MAX_PAGE_COMPARED_EVENTS, isCut: true });
  t.like(await compared(1), { count: MAX_PAGE_COMPARED_EVENTS, isCut: false });
});

test('what is about an image is known from so many events of artifacts', async (t) => {
  const reading = await read(
    madeLog(MAX_PAGE_ARTIFACT_EVENTS + 2, (envelope) => {
      if (envelope.seq === 1) return created(envelope);
      const artifact = { mediaType: 'application/x', digest: digest(envelope.seq), size: 1 };
      return { ...envelope, type: 'ArtifactAdded', artifact, artifactType: '', contains: [], blobs: [] };
    }),
  );
  const { last } = reading.timeline;
  t.like(await questions.card(reading, { digest: digest(1), seq: last }), { isCut: true });
});

test('shared layers are sought in so many events', async (t) => {
  const chainId = digest(0xabcdef) as ChainId;
  const blob = { mediaType: 'application/x', digest: digest(3), size: 1 };
  const layer = { chainId, diffId: digest(4) as DiffId, size: 1, diffSize: 1, blob };
  const reading = await read(
    madeLog(MAX_PAGE_SHARING_EVENTS + 2, (envelope) =>
      envelope.seq === 1 ? { ...envelope, type: 'LayerAdded', ...layer } : created(envelope, { chainId }),
    ),
  );
  const others = async (seq: number): Promise<unknown> => {
    const card = await questions.card(reading, { digest: digest(2), seq });
    return card?.kind === 'image' ? card.layers.map((each) => [each.others, each.isCut]) : undefined;
  };
  t.deepEqual(await others(10), [[8, false]]);
  t.deepEqual(await others(MAX_PAGE_SHARING_EVENTS + 2), [[MAX_PAGE_SHARING_EVENTS - 2, true]]);
});

test('a card has so many parents and children, and counts all children', async (t) => {
  const images = MAX_PAGE_CHILDREN + MAX_PAGE_ANCESTORS + 10;
  const reading = await read(
    madeLog(2 * images, (envelope) => {
      const { seq } = envelope;
      if (seq <= images) return created(envelope);
      const child = seq - images;
      // A line of parents, and one with many children.
      const parent = child <= MAX_PAGE_ANCESTORS + 3 ? child + 1 : images;
      const own = child === images ? image(1) : image(child);
      return { ...envelope, type: 'ParentSet', image: own, parent: image(child === images ? 2 : parent) };
    }),
  );
  const { last } = reading.timeline;
  const youngest = await questions.card(reading, { digest: digest(1), seq: last });
  t.is(youngest?.kind === 'image' ? youngest.ancestors.length : -1, MAX_PAGE_ANCESTORS);
  const eldest = await questions.card(reading, { digest: digest(images), seq: last });
  t.like(eldest, { childCount: images - MAX_PAGE_ANCESTORS - 4 });
  t.is(eldest?.kind === 'image' ? eldest.children.length : -1, MAX_PAGE_CHILDREN);
});

test('the beginning of a digest stands for so many', async (t) => {
  for (const more of [0, 1]) {
    const reading = await read(madeLog(MAX_PAGE_DIGESTS + more, (envelope) => created(envelope)));
    const { readAs } = await questions.references(reading, { seq: 1, text: '0000', limit: 1 });
    t.deepEqual(readAs, more === 0 ? ['digests that begin with 0000'] : []);
  }
});

test('a reference has so many periods in its lane, and so many with who and why', async (t) => {
  const reference = 'docker.io/library/app:prod';
  const reading = await read(
    madeLog(MAX_PAGE_PERIODS + 1, (envelope) => ({
      ...envelope,
      type: 'ReferenceSet',
      reference,
      image: image(envelope.seq),
    })),
  );
  const { last } = reading.timeline;
  const lane = await questions.lane(reading, { reference });
  t.deepEqual([lane.periods.length, lane.earlier], [MAX_PAGE_PERIODS, 1]);
  const { periods, earlier } = await questions.reference(reading, { seq: last, reference });
  t.deepEqual([periods.length, earlier], [MAX_PAGE_LISTED_PERIODS, last - MAX_PAGE_LISTED_PERIODS]);
});

test('a transaction lists so many events, and counts all', async (t) => {
  const count = MAX_PAGE_TRANSACTION_EVENTS + 1;
  const transaction = { first: 1, count };
  const reading = await read(madeLog(count, (envelope) => created({ ...envelope, transaction })));
  const { transactions } = await questions.events(reading, { seq: count, text: '', limit: 5 });
  t.deepEqual(
    transactions.map(({ events, count: all }) => [events.length, all]),
    [[MAX_PAGE_TRANSACTION_EVENTS, count]],
  );
});
