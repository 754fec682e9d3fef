import { mkdir, readFile, rename, rm, symlink, truncate, writeFile, stat } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ErrorCode } from '../../../src/errors.js';
import { type Outcome, outcomeOf } from './outcome.js';
import { copyOf, logFiles, makeWholeStore, removeWholeStore, type WholeStore } from './whole-store.js';

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

type Change = (directory: string) => Promise<unknown>;

/** What becomes of a copy of the store after a change, for a writer and for a reader; the same for both. */
async function outcomeAfter(t: ExecutionContext, change: Change, mayChange = /^$/): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const readOnly of [false, true]) {
    const directory = await copyOf(t, whole);
    await change(directory);
    outcomes.push(await outcomeOf(directory, whole.answers, { readOnly, mayChange }));
  }
  const [forWriter, forReader] = outcomes as [Outcome, Outcome];
  t.is(forReader.is, forWriter.is);
  return forWriter;
}

const refused = test.macro({
  async exec(t, change: Change, code: ErrorCode, message: RegExp, mayChange?: RegExp) {
    const outcome = await outcomeAfter(t, change, mayChange);
    if (outcome.is !== 'refused') return t.fail(outcome.is);
    t.is(outcome.error.code, code);
    t.regex(outcome.error.message, message);
  },
  title: (given) => `${given}: it is reported, and no other file is changed`,
});

const harmless = test.macro({
  async exec(t, change: Change) {
    t.is((await outcomeAfter(t, change)).is, 'whole');
  },
  title: (given) => `${given}: every answer is as before`,
});

const log = (directory: string, name: string): string => join(directory, 'log', name);

/** Does something to the file of the log whose name is like this. */
const toLogFile =
  (pattern: RegExp, change: (path: string) => Promise<unknown>): Change =>
  async (directory) => {
    const [name = ''] = await logFiles(directory, pattern);
    await change(log(directory, name));
  };

const cutBy =
  (bytes: number) =>
  async (path: string): Promise<void> =>
    truncate(path, (await stat(path)).size - bytes);

const inPlace =
  (make: (path: string) => unknown) =>
  async (path: string): Promise<void> => {
    await rm(path, { recursive: true });
    await make(path);
  };

const pipe = inPlace((path) => execFileSync('mkfifo', [path]));
const directory = inPlace((path) => mkdir(path));
const deadLink = inPlace((path) => symlink('nowhere', path));
const circle = inPlace((path) => symlink(path, path));

const MANIFEST = /^MANIFEST/;
const WAL = /\.log$/;
const TABLE = /\.ldb$/;

test(
  'CURRENT missing',
  refused,
  (dir) => rm(log(dir, 'CURRENT')),
  'LOG_CORRUPT',
  /CURRENT is missing.*none need be lost/,
);
test('CURRENT empty', refused, (dir) => truncate(log(dir, 'CURRENT'), 0), 'LOG_CORRUPT', /CURRENT does not name/);
test(
  'CURRENT naming nothing that is there',
  refused,
  (dir) => writeFile(log(dir, 'CURRENT'), 'MANIFEST-000099\n'),
  'LOG_CORRUPT',
  /MANIFEST-000099 is missing/,
);
test('the MANIFEST missing', refused, toLogFile(MANIFEST, rm), 'LOG_CORRUPT', /MANIFEST-\d+ is missing/);
test(
  'the MANIFEST without its last 20 bytes',
  refused,
  toLogFile(MANIFEST, cutBy(20)),
  'LOG_CORRUPT',
  /MANIFEST-\d+ is damaged/,
);
test(
  'the write-ahead log missing',
  refused,
  toLogFile(WAL, rm),
  'LOG_CORRUPT',
  /write-ahead log \d+\.log is missing.*last events are lost/,
);
test(
  'the write-ahead log without its last byte',
  refused,
  toLogFile(WAL, cutBy(1)),
  'LOG_CORRUPT',
  /ends at seq 17, and its checkpoint is of 18 events: its end was lost, event 18\./,
);
test(
  'the write-ahead log empty',
  refused,
  toLogFile(WAL, (path) => truncate(path, 0)),
  'LOG_CORRUPT',
  /ends at seq 7, and its checkpoint is of 18 events: its end was lost, events 8 to 18\./,
  // The log ends where a batch ends, and looks whole: LevelDB moves it into a table before its end is compared.
  /^log\//,
);
test(
  'a table missing',
  refused,
  toLogFile(TABLE, rm),
  'LOG_CORRUPT',
  /the table \d+\.ldb is missing, and with it events/,
);
test(
  'a table without its last byte',
  refused,
  toLogFile(TABLE, cutBy(1)),
  'LOG_CORRUPT',
  /has \d+ bytes, expected \d+/,
);
test(
  'a table empty',
  refused,
  toLogFile(TABLE, (path) => truncate(path, 0)),
  'LOG_CORRUPT',
  /has 0 bytes/,
);
test(
  'the log missing',
  refused,
  (dir) => rm(join(dir, 'log'), { recursive: true }),
  'LOG_CORRUPT',
  /the directory of the log is missing/,
);
test(
  'an unfinished write behind the last event, as a crash leaves it',
  harmless,
  toLogFile(WAL, async (path) => {
    const bytes = await readFile(path);
    await writeFile(path, Buffer.concat([bytes, bytes.subarray(0, 60)]));
  }),
);
test(
  'blocks that were never written behind the last event',
  harmless,
  toLogFile(WAL, async (path) => truncate(path, (await stat(path)).size + 40_000)),
);
test('what a crash left of a copy that was read', harmless, async (dir) => {
  await mkdir(join(dir, 'log.rehearsal'));
  await writeFile(join(dir, 'log.rehearsal', 'CURRENT'), '');
  await toLogFile(WAL, async (path) => truncate(path, (await stat(path)).size + 10))(dir);
});
test('LOCK missing', harmless, (dir) => rm(log(dir, 'LOCK')));
test('LOG missing', harmless, (dir) => rm(log(dir, 'LOG')));
test('snapshots missing', harmless, (dir) => rm(join(dir, 'snapshots'), { recursive: true }));

for (const [kind, make] of Object.entries({ pipe, directory })) {
  test(`a ${kind} for CURRENT`, refused, toLogFile(/^CURRENT$/, make), 'LOG_CORRUPT', /CURRENT is not a file/);
  test(`a ${kind} for the MANIFEST`, refused, toLogFile(MANIFEST, make), 'LOG_CORRUPT', /MANIFEST-\d+ is not a file/);
  test(`a ${kind} for the write-ahead log`, refused, toLogFile(WAL, make), 'LOG_CORRUPT', /\.log is not a file/);
  test(`a ${kind} for a table`, refused, toLogFile(TABLE, make), 'LOG_CORRUPT', /\.ldb is not a file/);
  test(
    `a ${kind} for imagelog.json`,
    refused,
    (dir) => make(join(dir, 'imagelog.json')),
    'SIDECAR_INVALID',
    /imagelog\.json is not a file/,
  );
  test(`a ${kind} for LOCK`, refused, toLogFile(/^LOCK$/, make), 'LOG_CORRUPT', /LOCK is not a file/);
  test(`a ${kind} for owner.json`, harmless, async (dir) => {
    await writeFile(join(dir, 'owner.json'), '');
    await make(join(dir, 'owner.json'));
  });
  test(`a ${kind} for whole-tables.json`, harmless, async (dir) => {
    await writeFile(join(dir, 'whole-tables.json'), '');
    await make(join(dir, 'whole-tables.json'));
  });
}
for (const [kind, make] of Object.entries({ 'link to nothing': deadLink, 'link to itself': circle })) {
  test(`a ${kind} for CURRENT`, refused, toLogFile(/^CURRENT$/, make), 'LOG_CORRUPT', /CURRENT is not a file/);
  test(`a ${kind} for the MANIFEST`, refused, toLogFile(MANIFEST, make), 'LOG_CORRUPT', /is not a file/);
  test(`a ${kind} for the write-ahead log`, refused, toLogFile(WAL, make), 'LOG_CORRUPT', /is not a file/);
  test(`a ${kind} for a table`, refused, toLogFile(TABLE, make), 'LOG_CORRUPT', /is not a file/);
  test(
    `a ${kind} for imagelog.json`,
    refused,
    (dir) => make(join(dir, 'imagelog.json')),
    'SIDECAR_INVALID',
    /imagelog\.json/,
  );
}
test(
  'a file for the log',
  refused,
  async (dir) => {
    await rm(join(dir, 'log'), { recursive: true });
    await writeFile(join(dir, 'log'), '');
  },
  'LOG_CORRUPT',
  /a file is in the place of the log/,
);
test(
  'a pipe for the log',
  refused,
  (dir) => pipe(join(dir, 'log')),
  'LOG_CORRUPT',
  /a file is in the place of the log/,
);
test('a link for the log, to where it was moved', harmless, async (dir) => {
  await rename(join(dir, 'log'), join(dir, 'moved'));
  await symlink('moved', join(dir, 'log'));
});
test(
  'imagelog.json missing',
  refused,
  (dir) => rm(join(dir, 'imagelog.json')),
  'SIDECAR_INVALID',
  /has no imagelog\.json, expected one beside a log/,
);
test(
  'imagelog.json junk',
  refused,
  (dir) => writeFile(join(dir, 'imagelog.json'), '\0\0'),
  'SIDECAR_INVALID',
  /is not JSON/,
);
test(
  'imagelog.json of a newer version',
  refused,
  async (dir) => {
    const path = join(dir, 'imagelog.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"version": 3', '"version": 5'));
  },
  'STORE_FORMAT_UNSUPPORTED',
  /format 5; this version of imagelog reads up to 4/,
);
