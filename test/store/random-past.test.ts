import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { createViews } from '../../projections/views.js';
import { StoreError } from '../../src/errors.js';
import { ViewedPast } from '../../src/store/past/audit.js';
import type { StoreDiff } from '../../src/store/past/diff.js';
import { StoredConfig } from '../../src/model/stored-image.js';
import { LevelLog } from '../../src/log/leveldb/level-log.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed } from '../support/image-configs.js';
import { StoreModel } from '../support/store-model.js';
import { anyOperation, outcomeOf } from '../support/store-operations.js';
import { ERASED, pastStateOf } from '../support/store-state.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** What the model said when the log ended at `seq`. */
interface Moment {
  readonly seq: number;
  readonly time: number;
  readonly state: Record<string, unknown>;
  readonly names: ReadonlyMap<string, string>;
  readonly parents: ReadonlyMap<string, string>;
  readonly metadata: ReadonlyMap<string, string>;
}

function momentOf(model: StoreModel, seq: number, time: number): Moment {
  const { walked: _, ...state } = model.state();
  const images = [...model.images];
  return {
    seq,
    time,
    state,
    names: new Map([...model.names].map(([name, image]) => [name, idNamed(image)])),
    parents: new Map(
      images.flatMap(([name, { parent }]) => (parent === undefined ? [] : [[idNamed(name), idNamed(parent)]])),
    ),
    metadata: new Map(
      images.flatMap(([name, { metadata }]) =>
        [...metadata].map(([key, value]) => [`${idNamed(name)} ${key}`, value] as const),
      ),
    ),
  };
}

test('at any past seq and moment, every answer is what the plain model said then, with snapshots and without', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const property = fc.asyncProperty(
    fc.array(anyOperation, { minLength: 10, maxLength: 40 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
    async (operations, positions) => {
      const directory = join(root, `${run++}`);
      let clock = Date.UTC(2026, 0, 1);
      const options = { now: () => clock, snapshotEvery: 7 };
      const store = await openStore(directory, options);
      const model = new StoreModel();
      const moments = [momentOf(model, 0, 0)];
      for (const operation of operations) {
        clock += 1_000;
        t.deepEqual(await outcomeOf(store, operation), model.apply(operation));
        if (store.log.head.seq > (moments.at(-1)?.seq ?? 0)) moments.push(momentOf(model, store.log.head.seq, clock));
      }
      // The second after the last command has passed as well.
      clock += 1_000;
      const erased = [...model.erased].map(idNamed);
      const known = moments.map((moment) => ({ ...moment, state: withoutErased(moment.state, erased) }));
      await checkPast(t, store, known, positions);
      await store.close();
      // What is left without snapshots is the log alone.
      await rm(join(directory, 'snapshots'), { recursive: true, force: true });
      const again = await openStore(directory, { ...options, snapshotEvery: 0, readOnly: true });
      await checkPast(t, again, known, positions);
      await again.close();
      await checkAgainstFreshFolds(t, directory, positions);
    },
  );
  await fc.assert(property, { numRuns: 15 });
});

/** What was answered then, without the configs that were erased since: nobody can read them now. */
function withoutErased(state: Record<string, unknown>, erased: readonly string[]): Record<string, unknown> {
  const images = Object.entries(state['images'] as object);
  return { ...state, images: Object.fromEntries(images.map(([id, was]) => [id, erased.includes(id) ? ERASED : was])) };
}

async function checkPast(
  t: ExecutionContext,
  store: EventStore,
  moments: readonly Moment[],
  positions: readonly number[],
): Promise<void> {
  const chosen = positions.map((position) => moments[Math.floor(position * (moments.length - 1))] as Moment);
  for (const { seq, time, state } of chosen) {
    const past = await store.at(seq);
    t.is(past.seq, seq);
    t.is(past.time, time);
    t.deepEqual(pastStateOf(past), state);
    // The clock advanced by a second for each command.
    if (seq > 0) t.deepEqual(pastStateOf(await store.at(new Date(time + 999))), state);
  }
  for (const name of ['docker.io/library/x:1', 'docker.io/library/y:2']) {
    await checkReference(t, store, moments, name);
    for (const { seq, names } of chosen) {
      const resolved = await store.resolve(name, { at: seq }).catch((error: { code: string }) => error.code);
      t.is(resolved, names.get(name) ?? 'REFERENCE_NOT_FOUND');
    }
  }
  const [a, b] = [...chosen].sort((one, other) => one.seq - other.seq).slice(1, 3) as [Moment, Moment];
  checkDiff(t, await store.diff(a.seq, b.seq), a, b);
}

async function checkReference(
  t: ExecutionContext,
  store: EventStore,
  moments: readonly Moment[],
  name: string,
): Promise<void> {
  const expected: {
    image: string;
    previous: string | undefined;
    after: number;
    from: number;
    until: number | undefined;
  }[] = [];
  moments.slice(1).forEach(({ names, time }, at) => {
    const { names: before, seq: after } = moments[at] as Moment;
    const image = names.get(name);
    const previous = before.get(name);
    if (image === previous) return;
    const last = expected.at(-1);
    if (previous !== undefined && last !== undefined) last.until = time;
    if (image !== undefined) expected.push({ image, previous, after, from: time, until: undefined });
  });
  if (expected.length === 0) {
    await t.throwsAsync(store.referenceHistory(name), { code: 'REFERENCE_NOT_FOUND' });
    return;
  }
  const found = await store.referenceHistory(name);
  t.deepEqual(
    found.map(({ image, previous, from, until }) => ({ image, previous, from, until })),
    expected.map(({ after, ...rest }) => rest) as never,
  );
  found.forEach(({ seq, untilSeq }, at) => {
    t.true(seq > (expected[at]?.after ?? 0));
    if (untilSeq !== undefined && found[at + 1]?.previous !== undefined) t.is(untilSeq, found[at + 1]?.seq as number);
  });
}

function checkDiff(t: ExecutionContext, diff: StoreDiff, a: Moment, b: Moment): void {
  t.deepEqual([diff.from.seq, diff.to.seq], [a.seq, b.seq]);
  const images = (moment: Moment): Map<string, string> =>
    new Map(Object.keys(moment.state['images'] as object).map((id) => [id, id]));
  t.deepEqual(
    found(diff.images, ({ image }) => image),
    changesOf(images(a), images(b)),
  );
  t.deepEqual(
    found(
      diff.references,
      ({ reference }) => reference,
      (entry) => entry.image ?? '',
    ),
    changesOf(a.names, b.names),
  );
  t.deepEqual(
    found(diff.parents, ({ image }) => image),
    changesOf(a.parents, b.parents),
  );
  t.deepEqual(
    found(
      diff.metadata,
      ({ image, key }) => `${image} ${key}`,
      (value) => new TextDecoder().decode(value),
    ),
    changesOf(a.metadata, b.metadata),
  );
  t.deepEqual(diff.layers, []);
  for (const { event } of [...diff.images, ...diff.references, ...diff.parents, ...diff.metadata]) {
    t.true(event.seq > a.seq && event.seq <= b.seq);
  }
}

function found<Change extends { before?: unknown; after?: unknown; change: string }>(
  changes: readonly Change[],
  keyOf: (change: Change) => string,
  text: (value: NonNullable<Change['after']>) => string = String,
): string[] {
  const shown = (value: Change['after']): string =>
    value === undefined ? '' : text(value as NonNullable<Change['after']>);
  return changes.map((each) => `${each.change} ${keyOf(each)}: ${shown(each.before)} → ${shown(each.after)}`).sort();
}

function changesOf(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const lines: string[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key), after.get(key)];
    if (was === is) continue;
    const change = was === undefined ? 'added' : is === undefined ? 'removed' : 'changed';
    lines.push(`${change} ${key}: ${was ?? ''} → ${is ?? ''}`);
  }
  return lines.sort();
}

/** Every seq, also inside a transaction, is what a fold of so many events is: made here, and not by the store. */
async function checkAgainstFreshFolds(
  t: ExecutionContext,
  directory: string,
  positions: readonly number[],
): Promise<void> {
  const log = await LevelLog.open(join(directory, 'log'), { createIfMissing: false });
  const readConfig = (id: never): StoredConfig => {
    const config = log.content(id);
    if (config === undefined) throw new StoreError(ERASED, 'it was erased');
    return new StoredConfig(config);
  };
  const expected = new Map<number, unknown>();
  for (const position of positions) {
    const seq = Math.floor(position * log.head.seq);
    const viewSet = createViews();
    for await (const page of log.pages({ to: seq, pageSize: 3 })) viewSet.fold(page);
    const context = { log, readConfig, checkOpen: () => undefined };
    expected.set(seq, pastStateOf(new ViewedPast(context as never, seq, viewSet.views)));
  }
  await log.close();
  await using store = await openStore(directory, { create: false });
  for (const [seq, state] of expected) t.deepEqual(pastStateOf(await store.at(seq)), state as Record<string, unknown>);
}
