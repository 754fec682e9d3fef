import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { relatedArtifacts } from '../../src/cli/image-facts.js';
import { isStoreError } from '../../src/errors.js';
import { metadataText } from '../../src/log/event-json.js';
import { buildSteps } from '../../src/model/history.js';
import type { Descriptor, Digest, ImageId } from '../../src/model/digest.js';
import { familiarReference } from '../../src/model/reference.js';
import { sizeText } from '../../src/model/texts.js';
import { imagesOf } from '../../projections/references.js';
import type { ImageCard } from '../../src/page/image-card.js';
import { questions } from '../../src/page/questions.js';
import type { Reading } from '../../src/page/reading.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { PastStore, ReferenceInterval } from '../../src/store/past/audit.js';
import { anyArtifactOperation, artifactWorld, performed } from '../store/artifacts/artifact-world.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { archive, startSession } from '../cli/session.js';
import { anyOperation, outcomeOf } from '../support/store-operations.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { readingOf } from './store-source.js';

/* The page's cards, comparisons and tables answer as the store does, and in the words of the command line. */

const DEMO = fileURLToPath(new URL('../../scripts/demo.js', import.meta.url));
const UTC_NOW = { nowMs: Date.UTC(2026, 11, 1), timeZone: 'UTC' };

async function imageCardOf(t: ExecutionContext, reading: Reading, digest: Digest, seq: number): Promise<ImageCard> {
  const card = await questions.card(reading, { digest, seq });
  if (card?.kind !== 'image') return t.fail(`no card of ${digest}`) as never;
  return card;
}

/** Every image that the log ever told of, in order. */
async function imagesEver(store: EventStore): Promise<ImageId[]> {
  const images = new Set<ImageId>();
  for await (const event of store.log.read()) if (event.type === 'ImageCreated') images.add(event.image);
  return [...images];
}

async function artifactsEver(store: EventStore): Promise<Digest[]> {
  const artifacts = new Set<Digest>();
  for await (const event of store.log.read()) if (event.type === 'ArtifactAdded') artifacts.add(event.artifact.digest);
  return [...artifacts];
}

/** What `inspect --at` answers of an image, in the shape of its card. */
async function expectedCard(store: EventStore, past: PastStore, id: ImageId): Promise<Record<string, unknown>> {
  const manifests = new Map<Digest, Descriptor>();
  for await (const event of store.history({ image: id }, { to: past.seq })) {
    if (event.type === 'ManifestAdded' && event.image === id) manifests.set(event.manifest.digest, event.manifest);
  }
  const isPresent = past.imageEntries().some((entry) => entry.id === id);
  const common = { isPresent, manifests: [...manifests.values()], names: await expectedNames(store, past.seq, id) };
  if (!isPresent) return common;
  return {
    ...common,
    parent: parentIn(past, id),
    children: past.children(id),
    names: await expectedNames(store, past.seq, id),
    references: past.references(id).map(familiarReference),
    metadata: [...past.metadata(id).keys()],
    artifacts: relatedArtifacts(past, id, [...manifests.values()]).map((each) => [
      each.digest,
      each.artifactType ?? '',
      each.subject ?? undefined,
      each.index ?? undefined,
    ]),
  };
}

function parentIn(past: PastStore, id: ImageId): ImageId | undefined {
  try {
    return past.getParent(id);
  } catch (error) {
    if (isStoreError(error, 'METADATA_NOT_FOUND')) return undefined;
    throw error;
  }
}

async function expectedNames(store: EventStore, seq: number, digest: Digest): Promise<unknown[]> {
  const references = new Set<string>();
  for await (const event of store.log.read({ to: Math.max(1, seq), filter: { type: 'ReferenceSet' } })) {
    if (event.type === 'ReferenceSet' && event.seq <= seq) references.add(event.reference);
  }
  const pointing = ({ image, platforms, target }: ReferenceInterval): boolean =>
    target === digest || imagesOf({ image, platforms }).includes(digest as ImageId);
  const all = await Promise.all([...references].map((reference) => store.referenceHistory(reference)));
  const intervals = all.flat().filter((interval) => interval.seq <= seq && pointing(interval));
  const until = ({ untilSeq }: ReferenceInterval): number | undefined =>
    untilSeq === undefined || untilSeq > seq ? undefined : untilSeq;
  return intervals
    .sort((a, b) => a.seq - b.seq)
    .map((each) => [each.reference, each.from, until(each), each.actor, each.reason]);
}

function shapeOf(card: ImageCard): Record<string, unknown> {
  const names = card.names.map(({ reference, from, untilSeq, event }) => [
    reference,
    from,
    untilSeq,
    event.actor,
    event.reason,
  ]);
  const common = { isPresent: card.isPresent, manifests: card.manifests, names };
  if (!card.isPresent) return common;
  return {
    ...common,
    parent: card.ancestors.at(-1)?.image,
    children: card.children.map(({ image }) => image),
    references: card.own.names,
    metadata: card.metadata.map(([key]) => key),
    artifacts: card.artifacts.map((each) => [each.digest, each.artifactType, each.subject, each.index]),
  };
}

async function checkMoment(t: ExecutionContext, store: EventStore, reading: Reading, seq: number): Promise<void> {
  const past = await store.at(seq);
  for (const id of await imagesEver(store)) {
    t.deepEqual(shapeOf(await imageCardOf(t, reading, id, seq)), await expectedCard(store, past, id), `${id} @${seq}`);
  }
  const artifacts = new Map(past.artifacts().map((entry) => [entry.artifact.digest, entry]));
  for (const digest of await artifactsEver(store)) {
    const card = await questions.card(reading, { digest, seq });
    const entry = artifacts.get(digest);
    if (card?.kind === 'image') {
      // An index of images that is an artifact too.
      t.deepEqual(card.via, { kind: 'index', digest });
      const contains = card.indexes.find((index) => index.digest === digest)?.contains ?? [];
      const isOf = entry !== undefined && card.indexes.some((index) => index.digest === digest);
      t.deepEqual(contains, isOf ? entry.contains : []);
      continue;
    }
    if (card === undefined) return t.fail(`no card of ${digest}`);
    t.is(card.isPresent, entry !== undefined, `${digest} @${seq}`);
    t.deepEqual(await expectedNames(store, seq, digest), card.names.map(nameShape));
    if (entry === undefined) continue;
    t.deepEqual([card.subject, card.contains, card.blobs], [entry.subject, entry.contains, entry.blobs]);
    const about = past.referrers(digest).map((referrer) => referrer.digest);
    t.deepEqual(
      card.artifacts.map((each) => each.digest),
      about,
    );
  }
}

function nameShape({ reference, from, untilSeq, event }: ImageCard['names'][number]): unknown[] {
  return [reference, from, untilSeq, event.actor, event.reason];
}

async function checkDiff(
  t: ExecutionContext,
  store: EventStore,
  reading: Reading,
  [a, b]: [number, number],
): Promise<void> {
  const [from, to] = a < b ? [a, b] : [b, a];
  const diff = await store.diff(from, to);
  const shape = (kind: string, change: string, key: string, seq: number): unknown[] => [kind, change, key, seq];
  const expected = [
    ...diff.references.map(({ change, reference, event }) => shape('reference', change, reference, event.seq)),
    ...diff.images.map(({ change, image, event }) => shape('image', change, image, event.seq)),
    ...diff.artifacts.map(({ change, artifact, event }) => shape('artifact', change, artifact, event.seq)),
    ...diff.parents.map(({ change, image, event }) => shape('parent', change, image, event.seq)),
    ...diff.metadata.map(({ change, image, key, event }) => shape('metadata', change, `${image}/${key}`, event.seq)),
    ...diff.layers.map(({ change, chainId, event }) => shape('layer', change, chainId, event.seq)),
  ];
  const found = await questions.compareMoments(reading, { one: a, other: b, limit: 1_000 });
  t.deepEqual(
    found.rows.map(({ kind, change, key, event }) => shape(kind, change, key, event.seq)),
    expected,
  );
  t.is(found.count, expected.length);
  const sides = (kind: string): unknown[] =>
    found.rows.flatMap((row) => (row.kind === kind ? [[row.before, row.after]] : []));
  t.deepEqual(
    sides('parent'),
    diff.parents.map(({ before, after }) => [before, after]),
  );
  const text = (value: Uint8Array | undefined): string | undefined =>
    value && (metadataText(value) ?? sizeText(value.length));
  t.deepEqual(
    sides('metadata'),
    diff.metadata.map(({ before, after }) => [text(before), text(after)]),
  );
  t.deepEqual(
    found.rows.filter(({ kind }) => kind === 'reference').map(({ before, after }) => [before, after]),
    diff.references.map(({ before, after }) => [
      before?.image ?? before?.target?.digest,
      after?.image ?? after?.target?.digest,
    ]),
  );
}

const moments = fc.array(fc.nat(1_000), { minLength: 6, maxLength: 6 });

test('cards and comparisons of random stores are what store.at and store.diff answer', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const operations = fc.array(anyOperation, { minLength: 10, maxLength: 40 });
  const property = fc.asyncProperty(operations, moments, async (given, picked) => {
    const store = await openStore(join(root, `${run++}`));
    for (const operation of given) await outcomeOf(store, operation);
    const reading = await readingOf(store);
    const seqs = picked.map((each) => each % (reading.timeline.last + 1));
    for (const seq of seqs.slice(0, 3)) await checkMoment(t, store, reading, seq);
    for (let at = 0; at < seqs.length; at += 2) await checkDiff(t, store, reading, [seqs[at] ?? 0, seqs[at + 1] ?? 0]);
    await store.close();
  });
  await fc.assert(property, { numRuns: 15 });
});

test('cards and comparisons of random artifacts are what store.at and store.diff answer', async (t) => {
  const root = await temporaryDirectory(t);
  const world = await artifactWorld();
  let run = 0;
  const operations = fc.array(anyArtifactOperation(world), { minLength: 5, maxLength: 20 });
  const property = fc.asyncProperty(operations, moments, async (given, picked) => {
    const store = await openStore(join(root, `${run++}`));
    for (const operation of given) await performed(store, world, operation);
    const reading = await readingOf(store);
    const seqs = picked.map((each) => each % (reading.timeline.last + 1));
    for (const seq of seqs.slice(0, 3)) await checkMoment(t, store, reading, seq);
    for (let at = 0; at < seqs.length; at += 2) await checkDiff(t, store, reading, [seqs[at] ?? 0, seqs[at + 1] ?? 0]);
    await store.close();
  });
  await fc.assert(property, { numRuns: 12 });
});

test('cards and comparisons of the demo store are what store.at and store.diff answer', async (t) => {
  const directory = join(await temporaryDirectory(t), 'demo');
  await promisify(execFile)(process.execPath, [DEMO, '--keep', directory]);
  const store = await openStore(directory);
  const reading = await readingOf(store);
  const { last } = reading.timeline;
  t.true(last > 30);
  for (let seq = 0; seq <= last; seq += 5) {
    await checkMoment(t, store, reading, seq);
    await checkDiff(t, store, reading, [seq, last]);
    await checkDiff(t, store, reading, [seq, seq >> 1]);
  }
  await checkMoment(t, store, reading, last);
  await store.close();
});

test('layers of a card have the sizes of the store, and are shared as its images share chains', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['docker25-all.tar', 'oci-all.tar', 'oci-multi-platform.tar']) await store.load(archivePath(name));
  const reading = await readingOf(store);
  const { last } = reading.timeline;
  const chains = new Map<ImageId, Set<string>>();
  for (const [id, image] of store.map()) {
    const { layers } = await imageCardOf(t, reading, id, last);
    t.deepEqual(
      layers.map(({ diffId }) => diffId),
      [...image.rootFS.diffIds],
    );
    chains.set(id, new Set(layers.map(({ chainId }) => chainId)));
  }
  const table = store.layers.map();
  for (const [id, image] of store.map()) {
    const { layers, sizes, steps } = await imageCardOf(t, reading, id, last);
    t.deepEqual(steps, buildSteps(image, table).reverse());
    for (const { chainId, size, others, isCut } of layers) {
      t.is(size, table.get(chainId)?.diffSize ?? null);
      t.is(others, [...chains].filter(([other, own]) => other !== id && own.has(chainId)).length);
      t.false(isCut);
    }
    t.is(sizes?.total, table.get(image.rootFS.chainID() as never)?.size ?? 0);
    t.is(sizes?.total, (sizes?.shared ?? 0) + (sizes?.unique ?? 0));
  }
});

test('a card says what inspect and history say, now and in the past, and of an erased image that it was erased', async (t) => {
  const { done, store: directory, wait } = await startSession(t, '2026-11-23T09:00:00Z');
  await done('load', '--quiet', archive('docker25-all.tar'));
  wait(86_400_000);
  await done('tag', 'shop/app:1.0', 'shop/app:prod', '--actor', 'ana', '--reason', 'release 1.0');
  await done('untag', 'shop/app:1.0', '--actor', 'bo');
  const digest = (await done('resolve', 'shop/app:prod')).trim() as Digest;
  const last = (JSON.parse(await done('stats', '--json')) as { events: number }).events;
  const steps = (await done('history', '--json', digest)).trim().split('\n');
  const told: [seq: number, json: string][] = [];
  for (const seq of [last, last - 1]) told.push([seq, await done('inspect', '--json', '--at', `@${seq}`, digest)]);
  await whileOpen(directory, async (reading) => {
    t.deepEqual(await questions.findNamed(reading, { text: 'shop/app:prod', seq: last }), { digest });
    for (const [seq, json] of told) {
      const inspected = JSON.parse(json) as Record<string, unknown>;
      const card = await imageCardOf(t, reading, digest, seq);
      t.is(card.image, inspected['id'] as ImageId);
      t.deepEqual(card.own.names, (inspected['references'] as string[]).map(familiarReference));
      t.is(card.platform, inspected['platform'] as string);
      t.deepEqual(
        card.layers.map(({ chainId, diffId, size }) => ({ chainId, diffId, size })),
        inspected['layers'] as never,
      );
      t.is(card.sizes?.total, inspected['size'] as number);
      t.deepEqual(
        card.steps,
        steps.map((step) => JSON.parse(step) as never),
      );
      t.is(new Map(card.config).get('architecture'), 'amd64');
    }
    const { names } = await imageCardOf(t, reading, digest, last);
    t.deepEqual(
      names.map(({ name, untilSeq }) => [name, untilSeq !== undefined]),
      [
        ['shop/app:1.0', true],
        ['shop/app:prod', false],
      ],
    );
  });
  await done('rm', '--force', digest);
  await done('erase', digest, '--reason', 'a secret');
  await whileOpen(directory, async (reading) => {
    const erased = await imageCardOf(t, reading, digest, reading.timeline.last);
    t.false(erased.isPresent);
    t.is(erased.erased?.reason, 'a secret');
    t.is(erased.steps, undefined);
    t.deepEqual(erased.config, []);
  });
});

async function whileOpen(directory: string, ask: (reading: Reading) => Promise<void>): Promise<void> {
  const store = await openStore(directory);
  await ask(await readingOf(store));
  await store.close();
}

test('a text names an image as inspect reads it: id, reference, first digits, manifest', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-all.tar'));
  const reading = await readingOf(store);
  const { last } = reading.timeline;
  const find = async (text: string): Promise<Digest> =>
    (await questions.findNamed(reading, { text, seq: last })).digest;
  for (const id of store.map().keys()) {
    t.is(await find(id), id);
    t.is(await find(id.slice(7, 19)), id);
    for (const name of store.references(id)) t.is(await find(familiarReference(name)), store.resolve(name));
    const { manifests } = await imageCardOf(t, reading, id, last);
    for (const { digest } of manifests) {
      t.is(await find(digest.slice(7, 27)), digest);
      const { image, via } = await imageCardOf(t, reading, digest, last);
      t.deepEqual([image, via], [id, { kind: 'manifest', digest }]);
    }
  }
  await t.throwsAsync(find('no/such:name'), { code: 'IMAGE_NOT_FOUND' });
  await t.throwsAsync(find('sha256:'), { code: 'IMAGE_NOT_FOUND' });
  t.is(await questions.card(reading, { digest: `sha256:${'0'.repeat(64)}`, seq: last }), undefined);
  t.is(await questions.card(reading, { digest: 'constructor', seq: last }), undefined);
});

test('two images are compared by layers and by the values of their configs', async (t) => {
  const store = await temporaryStore(t);
  const config = (env: string[], more: object): Uint8Array =>
    new TextEncoder().encode(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: { Env: env, ...more },
        rootfs: { type: 'layers', diff_ids: [] },
      }),
    );
  const before = await store.create(
    config(['PATH=/bin', 'MODE=test'], { Cmd: ['a'], Labels: { 'org.x': '1' }, StopTimeout: 1 }),
  );
  const after = await store.create(config(['PATH=/bin', 'NEW'], { Cmd: ['a', 'b'], Labels: { 'org.x': '1' } }));
  const reading = await readingOf(store);
  const { keys, sameKeys } = await questions.compareImages(reading, { before, after, seq: reading.timeline.last });
  t.deepEqual(keys, [
    { key: 'config.Env.MODE', before: 'test', after: undefined },
    { key: 'config.Cmd', before: '["a"]', after: '["a","b"]' },
    { key: 'config.StopTimeout', before: '1', after: undefined },
    { key: 'config.Env.NEW', before: undefined, after: '' },
  ]);
  t.is(sameKeys, 4);
});

test('layers of two images are common where their chains are', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const reading = await readingOf(store);
  const { last } = reading.timeline;
  const ids = [...store.map().keys()];
  let common = 0;
  for (const before of ids) {
    for (const after of ids) {
      const found = await questions.compareImages(reading, { before, after, seq: last });
      const [one, other] = [store.get(before), store.get(after)].map((image) => image.rootFS.diffIds);
      const shared = (one ?? []).findIndex((diffId, at) => diffId !== other?.[at]);
      const count = shared === -1 ? (one ?? []).length : shared;
      t.is(found.common.length, Math.min(count, other?.length ?? 0));
      t.is(found.beforeOnly.length + found.common.length, one?.length ?? 0);
      t.is(found.afterOnly.length + found.common.length, other?.length ?? 0);
      if (before !== after) common += found.common.length;
    }
  }
  t.true(common > 0);
});

test('moves, removals and actors of a period are those of the log', async (t) => {
  const { done, store: directory, wait } = await startSession(t, '2026-11-23T09:00:00Z');
  const day = 86_400_000;
  await done('load', '--quiet', archive('docker25-all.tar'));
  wait(day);
  await done('tag', 'shop/app:1.0', 'shop/app:prod', '--actor', 'ana', '--reason', 'release 1.0');
  await done('tag', 'shop/app:1.0', 'shop/app:prod', '--actor', 'ana', '--reason', 'the same again');
  wait(day);
  await done('tag', 'shop/app:2.0', 'shop/app:prod', '--actor', 'ci', '--request-id', 'INC-77');
  wait(day);
  await done('untag', 'shop/app:1.0', '--actor', 'bo', '--reason', 'old');
  await done('rm', '--force', 'shop/app:2.0', '--actor', 'bo', '--reason', 'broken');
  const store = await openStore(directory);
  const reading = await readingOf(store);
  const { last } = reading.timeline;
  const period = { ...UTC_NOW, seq: last, limit: 100 };
  const moves = await questions.auditMoves(reading, { ...period, text: '*:prod' });
  t.deepEqual(moves.rows.map(({ name, event }) => [name, event.actor, event.requestId]).slice(-2), [
    ['shop/app:prod', 'ci', 'INC-77'],
    ['shop/app:prod', 'ana', undefined],
  ]);
  t.is(moves.rows.at(-1)?.event.reason, 'release 1.0');
  const onDay = { ...period, since: '2026-11-25', until: '2026-11-25' };
  t.deepEqual(
    (await questions.auditMoves(reading, { ...onDay, text: '*:prod' })).rows.map(({ event }) => event.actor),
    ['ci'],
  );
  t.is((await questions.auditMoves(reading, { ...period, seq: 0, text: '' })).count, 0);
  await t.throwsAsync(questions.auditMoves(reading, { ...period, since: 'whenever', text: '' }), {
    code: 'TIME_INVALID',
  });

  const removals = await questions.auditRemovals(reading, period);
  const expected: unknown[] = [];
  const transactions = new Map<string, Set<number>>();
  for await (const event of store.log.read()) {
    transactions.set(event.actor, (transactions.get(event.actor) ?? new Set()).add(event.transaction.first));
    if (/^(ImageDeleted|ReferenceRemoved|ArtifactRemoved|ContentErased)$/.test(event.type)) {
      expected.unshift([event.seq, event.actor, event.reason]);
    }
  }
  t.true(expected.length >= 2);
  t.deepEqual(
    removals.rows.map(({ event }) => [event.seq, event.actor, event.reason]),
    expected,
  );
  t.is((await questions.auditRemovals(reading, { ...period, limit: 1 })).count, expected.length);

  const actors = await questions.auditActors(reading, period);
  const counted = [...transactions].map(([actor, seqs]) => [actor, seqs.size]);
  t.deepEqual(actors.rows.map((row) => [row.actor, row.transactions]).sort(), counted.sort());
  t.is(actors.rows[0]?.actor, 'bo');
  t.is(
    actors.rows.reduce((sum, { events }) => sum + events, 0),
    last,
  );
  await store.close();
});
