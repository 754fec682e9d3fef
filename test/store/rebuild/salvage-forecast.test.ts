import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Database } from '../../../src/log/log.js';
import { contentKey, eventKey } from '../../../src/log/rows.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { tamper } from '../../support/test-log.js';

const EVENTS = 200;

/** A closed store of some tables, or of a write-ahead log alone. */
async function closedStore(t: ExecutionContext, hasTables: boolean): Promise<{ directory: string; log: string }> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { actor: 'tester' });
  await Promise.all(Array.from({ length: EVENTS }, (_, at) => store.create(imageConfig(`image ${at}`))));
  await store.close();
  if (hasTables) await compacted(join(directory, 'log'));
  return { directory, log: join(directory, 'log') };
}

async function compacted(log: string): Promise<void> {
  await tamper(log, async (database) => {
    await (database as Database).compactRange?.(Uint8Array.of(0), Uint8Array.of(0xff));
  });
}

async function filesOf(log: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(log)).filter((name) => pattern.test(name)).map((name) => join(log, name));
}

async function cutManifest(log: string, bytes = 35): Promise<void> {
  for (const path of await filesOf(log, /^MANIFEST/)) await truncate(path, bytes);
}

/** The message of the first violation, which is about the file at `place`; nothing was changed. */
async function forecastOf(t: ExecutionContext, directory: string, place: RegExp): Promise<string> {
  const before = await readdir(directory, { recursive: true });
  const [violation] = await verifyStore(directory);
  t.is(violation?.code, 'LOG_FILE_DAMAGED');
  t.regex(violation?.place ?? '', place);
  t.deepEqual(await readdir(directory, { recursive: true }), before);
  return violation?.message ?? '';
}

for (const hasTables of [true, false]) {
  for (const bytes of [0, 1, 20, 35]) {
    test(`verify says that a rebuild has all after a MANIFEST cut at ${bytes}, ${hasTables ? 'tables' : 'a log'}`, async (t) => {
      const { directory, log } = await closedStore(t, hasTables);
      await cutManifest(log, bytes);
      const message = await forecastOf(t, directory, /^log\/MANIFEST-\d+$/);
      t.regex(message, new RegExp(`; .rebuild. can bring back all ${EVENTS} events and all content$`));
      const { events, lostContent } = await rebuildStore(directory);
      t.is(events, EVENTS);
      t.deepEqual(lostContent, []);
    });
  }
}

test('and without CURRENT, and not in a fast verify', async (t) => {
  const { directory, log } = await closedStore(t, true);
  await rm(join(log, 'CURRENT'));
  t.regex(await forecastOf(t, directory, /CURRENT/), /can bring back all 200 events and all content$/);
  t.notRegex((await verifyStore(directory, { fast: true }))[0]?.message ?? '', /rebuild/);
});

test('verify names the events that a rebuild cannot bring back, and those before them', async (t) => {
  const { directory, log } = await closedStore(t, true);
  await tamper(log, async (database) => {
    for (const seq of [40, 41, 100]) await database.del(eventKey(seq));
  });
  await compacted(log);
  await cutManifest(log);
  const message = await forecastOf(t, directory, /MANIFEST/);
  t.regex(
    message,
    /`rebuild` cannot bring back events 40 to 41, 100, .* restore a backup; events 1 to 39 can be read$/,
  );
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(error.message, /events 40 to 41, 100 can no longer be read/);
});

test('verify counts the events that a checkpoint proves', async (t) => {
  const { directory, log } = await closedStore(t, true);
  await tamper(log, (database) => database.del(eventKey(EVENTS)));
  await compacted(log);
  await cutManifest(log);
  t.regex(await forecastOf(t, directory, /MANIFEST/), /cannot bring back event 200, .* events 1 to 199 can be read$/);
  await writeFile(join(directory, 'checkpoint'), 'none');
  t.regex(await forecastOf(t, directory, /MANIFEST/), /can bring back all 199 events and all content$/);
});

test('verify names the content that a rebuild cannot bring back', async (t) => {
  const { directory, log } = await closedStore(t, true);
  await tamper(log, async (database) => {
    for (let at = 0; at < 7; at++) await database.del(contentKey(idNamed(`image ${at}`)));
  });
  await compacted(log);
  await cutManifest(log);
  const message = await forecastOf(t, directory, /MANIFEST/);
  t.regex(message, /all 200 events, and not the content sha256:\w+, .* and 2 more, which must be loaded again/);
  const { lostContent } = await rebuildStore(directory);
  t.is(lostContent.length, 7);
});

test('a table with a flipped bit loses events when a rebuild loses some, or may lose them', async (t) => {
  const { directory, log } = await closedStore(t, true);
  const [table = ''] = await filesOf(log, /ldb$/);
  const bytes = await readFile(table);
  let refused = 0;
  for (let part = 0; part < 12; part++) {
    const copy = `${directory}-${part}`;
    await cp(directory, copy, { recursive: true });
    const at = Math.floor((bytes.length * part) / 12);
    await writeFile(table.replace(directory, copy), bytes.with(at, (bytes[at] as number) ^ 4));
    await cutManifest(join(copy, 'log'));
    const message = await forecastOf(t, copy, /MANIFEST/);
    const outcome = await rebuildStore(copy).catch((error: Error) => error.message);
    if (typeof outcome === 'string') {
      refused++;
      t.regex(message, /cannot bring back event|so it may be less$/, outcome);
    } else t.regex(message, outcome.lostContent.length === 0 ? /and all content/ : /and not the content|may be less$/);
  }
  t.true(refused > 0);
});

test('a log without files has nothing to bring back', async (t) => {
  const { directory, log } = await closedStore(t, true);
  await rm(log, { recursive: true });
  t.regex(await forecastOf(t, directory, /log\/\./), /no event is left in the files of the log: restore a backup$/);
});
