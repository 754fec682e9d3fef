import { join } from 'node:path';
import test from 'ava';
import type { StoredEvent } from '../../../src/model/events.js';
import { SnapshotFolder } from '../../../src/store/snapshots/snapshot-folder.js';
import { pastViewsAt, viewsAt } from '../../../src/store/snapshots/views-at.js';
import { plainViews } from '../../support/plain-views.js';
import { creationOf } from '../../support/stored-event.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendBodies, openTestLog } from '../../support/test-log.js';

test('a read of the past that is too far from a snapshot to keep its events folds them at once, to the same views', async (t) => {
  const directory = await temporaryDirectory(t);
  const log = await openTestLog(t, join(directory, 'log'));
  const page = Array.from({ length: 10_001 }, (_, at) => creationOf(`${at % 50}`));
  for (let batch = 0; batch < 10; batch++) await appendBodies(log, page);
  const folder = new SnapshotFolder({ directory, storeId: 's', log, onNotice: t.fail });
  const pagesRead: StoredEvent['seq'][] = [];
  const watched = new Proxy(log, {
    get: (_, name) => {
      if (name !== 'pages') return log[name as keyof typeof log];
      return (options: { to: number }) => {
        pagesRead.push(options.to);
        return log.pages(options);
      };
    },
  });
  const sources = { log: watched, snapshots: folder };
  // 100,000 events are kept, and one more is not.
  for (const seq of [100_000, 100_001]) {
    const past = await pastViewsAt(sources, seq);
    t.is(past.images.size, 50);
    t.deepEqual(plainViews(past), plainViews((await viewsAt(sources, seq)).views));
  }
  t.deepEqual(pagesRead, [100_000, 100_000, 100_001, 100_001], 'each look reads the log once');
});
