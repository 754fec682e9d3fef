import { readdirSync, truncateSync } from 'node:fs';
import { stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Level } from 'level';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../damage/whole-store.js';

/** The calls that open the database of a closed store. */
const openers: { readonly [name: string]: (directory: string) => Promise<unknown> } = {
  openStore: async (directory) => (await openStore(directory, { create: false })).close(),
  rebuildStore: async (directory) => rebuildStore(directory),
};

/** Places whose write-ahead logs LevelDB fails to read, and how many times. */
const blind = new Map<string, number>();

// LevelDB takes such a log for an empty one, and removes it when it has opened.
const open = Level.prototype.open as (...options: unknown[]) => Promise<void>;
Object.assign(Level.prototype, {
  async open(this: Level, ...options: unknown[]): Promise<void> {
    const place = [...blind.keys()].find((each) => this.location.startsWith(each));
    const left = place === undefined ? 0 : (blind.get(place) ?? 0);
    // To look whether somebody has it open reads nothing.
    const isLook = Object(options[0])['errorIfExists'] === true;
    if (place !== undefined && left > 0 && !isLook) {
      blind.set(place, left - 1);
      const logs = readdirSync(this.location).filter((name) => name.endsWith('.log'));
      for (const name of logs) truncateSync(join(this.location, name));
    }
    return open.apply(this, options);
  },
});

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

const unread = test.macro({
  async exec(t, opener: string, isTorn: boolean) {
    const run = openers[opener] as (directory: string) => Promise<unknown>;
    for (const times of [1, Number.POSITIVE_INFINITY]) {
      const directory = await copyOf(t, whole);
      const [log = ''] = await logFiles(directory, /\.log$/);
      // As a crash leaves it: then a copy is opened, or one is opened first.
      if (isTorn) await truncate(join(directory, 'log', log), (await stat(join(directory, 'log', log))).size + 10);
      blind.set(directory, times);
      if (times === 1) await t.notThrowsAsync(run(directory), 'a fault that does not last is not told');
      else await rejection(t, 'IO_FAILED', run(directory));
      t.not(blind.get(directory), 1);
      blind.delete(directory);
      t.deepEqual(await verifyStore(directory), []);
      await using store = await openStore(directory, { create: false });
      t.is(store.log.head.seq, whole.seq);
    }
  },
  title: (_, opener, isTorn) =>
    `${opener} loses no event of a write-ahead log that LevelDB does not read${isTorn ? ', one with a torn end' : ''}`,
});

test('openStore for reading and verifyStore read that log themselves: LevelDB is not asked', async (t) => {
  const directory = await copyOf(t, whole);
  blind.set(directory, 1);
  await (await openStore(directory, { readOnly: true })).close();
  t.deepEqual(await verifyStore(directory), []);
  t.is(blind.get(directory), 1);
  blind.delete(directory);
});

for (const opener of Object.keys(openers)) {
  test(unread, opener, false);
  test(unread, opener, true);
}
