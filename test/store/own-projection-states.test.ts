import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { config } from 'rxjs';
import type { OwnProjection } from '../../src/store/own-projections.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { OpenOptions } from '../../src/store/store.js';
import { imageConfig } from '../support/image-configs.js';
import { countingProjection } from '../support/own-projections.js';
import { rejection } from '../support/rejection.js';
import { openTestStore } from '../support/test-store.js';

/** A store that is closed and opened again, with the notices that it gives. */
class Reopened {
  readonly notices: string[] = [];
  readonly #t: ExecutionContext;
  #directory: string | undefined;

  constructor(t: ExecutionContext) {
    this.#t = t;
  }

  /** Opens the store, and closes it when `work` is done. */
  async with<Result>(work: (store: EventStore) => Promise<Result>, options: OpenOptions = {}): Promise<Result> {
    const onNotice = (notice: string): void => void this.notices.push(notice);
    const place = this.#directory === undefined ? {} : { directory: this.#directory };
    const store = await openTestStore(this.#t, { onNotice, ...place, ...options });
    this.#directory = store.directory;
    const result = await work(store);
    await store.close();
    return result;
  }

  /** Path of the file that keeps the state of a projection. */
  stateFile(name: string): string {
    return join(this.#directory ?? '', 'snapshots', `${name}.projection`);
  }
}

/** Folds `projection` and returns its view. */
function viewOf<View>(projection: OwnProjection<View>): (store: EventStore) => Promise<View> {
  return async (store) => (await store.project(projection)).current;
}

async function createImages(store: EventStore, ...names: string[]): Promise<void> {
  for (const name of names) await store.create(imageConfig(name));
}

test('a store that is opened again folds only what came since', async (t) => {
  const reopened = new Reopened(t);
  const first = countingProjection('count');
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b', 'c');
    await store.project(first.projection);
    await createImages(store, 'd');
  });
  t.is(first.evolved(), 4);
  await reopened.with((store) => createImages(store, 'e', 'f'));
  const second = countingProjection('count');
  t.is(await reopened.with(viewOf(second.projection)), 6);
  t.is(second.evolved(), 2);
  const third = countingProjection('count');
  t.is(await reopened.with(viewOf(third.projection)), 6);
  t.is(third.evolved(), 0);
  t.deepEqual(reopened.notices, []);
});

test('a projection that is closed before its store continues where it was', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    const first = countingProjection('count');
    (await store.project(first.projection)).close();
    const second = countingProjection('count');
    using live = await store.project(second.projection);
    t.deepEqual([live.current, live.seq, second.evolved()], [2, 2, 0]);
    await createImages(store, 'c');
  });
  const third = countingProjection('count');
  t.is(await reopened.with(viewOf(third.projection)), 3);
  t.is(third.evolved(), 0);
});

test('the state of a projection is written with each snapshot of the store', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    const live = await store.project(countingProjection('count').projection);
    const stateFile = join(store.directory, 'snapshots', 'count.projection');
    await createImages(store, 'a');
    await store.snapshot();
    const first = await readFile(stateFile);
    await createImages(store, 'b');
    t.deepEqual(await readFile(stateFile), first);
    await store.snapshot();
    t.notDeepEqual(await readFile(stateFile), first);
    t.is(live.current, 2);
  });
});

test('without its state, or without encode, a projection is folded from the first event', async (t) => {
  const reopened = new Reopened(t);
  const { encode: _, decode: __, ...bare } = countingProjection('bare').projection;
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    await store.project(bare);
    await store.project(countingProjection('count').projection);
  });
  t.deepEqual(
    (await readdir(join(reopened.stateFile('count'), '..'))).filter((name) => name.endsWith('.projection')),
    ['count.projection'],
  );
  await rm(reopened.stateFile('count'));
  const again = countingProjection('count');
  t.is(await reopened.with(viewOf(again.projection)), 2);
  t.is(again.evolved(), 2);
  t.deepEqual(reopened.notices, []);
});

test('a lower version is refused, a higher one rebuilds and takes the place', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    await store.project(countingProjection('count', 2).projection);
  });
  await reopened.with(async (store) => {
    const error = await rejection(t, 'PROJECTION_OUTDATED', store.project(countingProjection('count', 1).projection));
    t.deepEqual(error.data, { name: 'count', version: 1, found: 2 });
    const { encode: _, decode: __, ...bare } = countingProjection('count', 1).projection;
    await rejection(t, 'PROJECTION_OUTDATED', store.project(bare));
    await t.notThrowsAsync(store.project(countingProjection('count', 2).projection));
  });
  const raised = countingProjection('count', 3);
  t.is(await reopened.with(viewOf(raised.projection)), 2);
  t.is(raised.evolved(), 2);
  await reopened.with((store) =>
    rejection(t, 'PROJECTION_OUTDATED', store.project(countingProjection('count', 2).projection)),
  );
  const kept = countingProjection('count', 3);
  t.is(await reopened.with(viewOf(kept.projection)), 2);
  t.is(kept.evolved(), 0);
  t.deepEqual(reopened.notices, []);
});

test('a state that decode refuses is skipped, reported, and replaced', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    await store.project(countingProjection('count').projection);
  });
  const refusing = countingProjection('count');
  const decode = (): number => {
    throw new RangeError('no such form');
  };
  t.is(await reopened.with(viewOf({ ...refusing.projection, decode })), 2);
  t.is(refusing.evolved(), 2);
  t.deepEqual(reopened.notices, ['the state of the projection count at event 2 is skipped: no such form']);
  const again = countingProjection('count');
  t.is(await reopened.with(viewOf(again.projection)), 2);
  t.is(again.evolved(), 0);
});

test('a state that is damaged is skipped, reported, and replaced', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    await store.project(countingProjection('count').projection);
  });
  const bytes = await readFile(reopened.stateFile('count'));
  for (const damaged of [bytes.subarray(0, -1), bytes.map((byte, at) => (at === 30 ? byte ^ 1 : byte)), Buffer.of()]) {
    await writeFile(reopened.stateFile('count'), damaged);
    const again = countingProjection('count');
    t.is(await reopened.with(viewOf(again.projection)), 2);
    t.is(again.evolved(), 2);
    t.regex(reopened.notices.pop() ?? '', /^the snapshot count\.projection is skipped: /);
    t.deepEqual(await readFile(reopened.stateFile('count')), bytes);
  }
  t.deepEqual(reopened.notices, []);
});

test('an encode that throws, or gives no bytes, is reported, and the projection continues', async (t) => {
  const reopened = new Reopened(t);
  const encode = (): never => {
    throw new Error('no room');
  };
  await reopened.with(async (store) => {
    await createImages(store, 'a');
    const throwing = await store.project({ ...countingProjection('throwing').projection, encode });
    await store.project({ ...countingProjection('text').projection, encode: String as never });
    throwing.close();
    t.is(throwing.current, 1);
  });
  t.deepEqual(reopened.notices, [
    'the state of the projection throwing at event 1 was not written: no room',
    'the state of the projection text at event 1 was not written: encode must return a Uint8Array',
  ]);
});

test('a receiver of notices that throws fails neither the projection nor the store', async (t) => {
  const broken = new Error('the receiver is broken');
  const reported: unknown[] = [];
  const report = new Promise<void>((resolve) => {
    config.onUnhandledError = (error) => {
      reported.push(error);
      resolve();
    };
  });
  t.teardown(() => (config.onUnhandledError = null));
  const store = await openTestStore(t, {
    onNotice: () => {
      throw broken;
    },
  });
  await createImages(store, 'a');
  const live = await store.project({ ...countingProjection('count').projection, encode: String as never });
  await t.notThrowsAsync(store.close());
  t.is(live.current, 1);
  await report;
  t.deepEqual(reported, [broken]);
});

test('a state that cannot be written is reported, and the store closes', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a');
    await store.project(countingProjection('count').projection);
    // A file stands where the folder should be.
    await rm(join(store.directory, 'snapshots'), { recursive: true, force: true });
    await writeFile(join(store.directory, 'snapshots'), '');
  });
  t.true(reopened.notices.some((notice) => notice.startsWith('the state of the projection count at event 1 was not')));
  await rm(join(reopened.stateFile('count'), '..'));
});

test('the state of a failed projection is that of before', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    await store.project(countingProjection('count').projection);
  });
  const kept = await readFile(reopened.stateFile('count'));
  const evolve = (): never => {
    throw new Error('evolve is broken');
  };
  await reopened.with(async (store) => {
    const live = await store.project({ ...countingProjection('count').projection, evolve });
    await createImages(store, 'c');
    t.is(live.failure?.event.seq, 3);
  });
  t.deepEqual(await readFile(reopened.stateFile('count')), kept);
  const mended = countingProjection('count');
  t.is(await reopened.with(viewOf(mended.projection)), 3);
  t.is(mended.evolved(), 1);
});

test('a store for reading only takes states and writes none', async (t) => {
  const reopened = new Reopened(t);
  await reopened.with(async (store) => {
    await createImages(store, 'a', 'b');
    await store.project(countingProjection('count').projection);
  });
  await reopened.with((store) => createImages(store, 'c'));
  const kept = await readFile(reopened.stateFile('count'));
  const reading = countingProjection('count');
  t.is(await reopened.with(viewOf(reading.projection), { readOnly: true }), 3);
  t.is(reading.evolved(), 1);
  t.deepEqual(await readFile(reopened.stateFile('count')), kept);
});
