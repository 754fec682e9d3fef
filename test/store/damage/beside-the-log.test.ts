import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ErrorCode } from '../../../src/errors.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { flippedOutcome } from './flipped-bit.js';
import { type Outcome, outcomeOf } from './outcome.js';
import { copyOf, makeWholeStore, removeWholeStore, type WholeStore } from './whole-store.js';

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

type Change = (directory: string) => Promise<unknown>;

// The checkpoint is compared with the log, which LevelDB has opened by then: it moved its write-ahead log into a table.
async function outcomeAfter(t: ExecutionContext, change: Change): Promise<Outcome> {
  const directory = await copyOf(t, whole);
  await change(directory);
  return outcomeOf(directory, whole.answers, { mayChange: /^log\// });
}

const refused = test.macro({
  async exec(t, change: Change, code: ErrorCode, message: RegExp) {
    const outcome = await outcomeAfter(t, change);
    if (outcome.is !== 'refused') return t.fail(outcome.is);
    t.is(outcome.error.code, code);
    t.regex(outcome.error.message, message);
  },
  title: (given) => `${given}: it is reported`,
});

const harmless = test.macro({
  async exec(t, change: Change) {
    t.is((await outcomeAfter(t, change)).is, 'whole');
  },
  title: (given) => `${given}: every answer is as before`,
});

const checkpoint = (directory: string): string => join(directory, 'checkpoint');
const pipeAt = async (path: string): Promise<void> => {
  await rm(path, { force: true });
  execFileSync('mkfifo', [path]);
};

test(
  'a checkpoint ahead of the log',
  refused,
  async (dir) => {
    const text = await readFile(checkpoint(dir), 'utf8');
    await writeFile(checkpoint(dir), text.replace('\n18\n', '\n1018\n'));
  },
  'LOG_CORRUPT',
  /ends at seq 18, and its checkpoint is of 1018 events: its end was lost, events 19 to 1018/,
);
test(
  'a checkpoint of another history',
  refused,
  async (dir) => {
    const text = await readFile(checkpoint(dir), 'utf8');
    await writeFile(checkpoint(dir), text.replace('\n18\n', '\n17\n'));
  },
  'LOG_CORRUPT',
  /the events up to 17 are not those of its checkpoint/,
);
test(
  'a checkpoint of another log',
  refused,
  async (dir) => {
    const text = await readFile(checkpoint(dir), 'utf8');
    await writeFile(checkpoint(dir), text.replace(/^.*\n/, 'example.com/other\n'));
  },
  'CHECKPOINT_FOREIGN',
  /example\.com\/other/,
);
test(
  'a checkpoint that is junk',
  refused,
  (dir) => writeFile(checkpoint(dir), 'junk'),
  'CHECKPOINT_INVALID',
  /checkpoint/,
);
test('a checkpoint that is empty', refused, (dir) => truncate(checkpoint(dir), 0), 'CHECKPOINT_INVALID', /checkpoint/);
test(
  'a pipe for the checkpoint',
  refused,
  (dir) => pipeAt(checkpoint(dir)),
  'CHECKPOINT_INVALID',
  /checkpoint: it is not a file/,
);
test('the checkpoint missing', harmless, (dir) => rm(checkpoint(dir)));
test(
  'the sidecar of another store',
  refused,
  async (dir) => {
    const other = join(dir, '..', 'other');
    await (await openStore(other)).close();
    await writeFile(join(dir, 'imagelog.json'), await readFile(join(other, 'imagelog.json')));
  },
  'CHECKPOINT_FOREIGN',
  /imagelog\//,
);

for (const name of ['checkpoint', 'imagelog.json']) {
  test(`a bit that flips in any byte of ${name} is reported, or changes no answer`, async (t) => {
    const { size } = await stat(join(whole.directory, name));
    for (let byte = 0; byte < size; byte += 3) {
      const outcome = await flippedOutcome(t, whole, { path: name, byte, bit: byte % 7 }, { mayChange: /^log\// });
      t.not(outcome.is, 'partial');
      if (outcome.is === 'refused' && outcome.error.code !== 'STORE_FORMAT_UNSUPPORTED') {
        t.regex(outcome.error.code, /^(?:LOG_CORRUPT|CHECKPOINT_INVALID|CHECKPOINT_FOREIGN|SIDECAR_INVALID)$/);
      }
    }
  });
}

/** Does something to each snapshot. */
const toSnapshots =
  (change: (path: string) => Promise<unknown>): Change =>
  async (directory) => {
    const names = await readdir(join(directory, 'snapshots'));
    for (const name of names) await change(join(directory, 'snapshots', name));
  };

test(
  'snapshots that are empty',
  harmless,
  toSnapshots((path) => truncate(path, 0)),
);
test(
  'snapshots with a flipped bit',
  harmless,
  toSnapshots(async (path) => {
    const bytes = await readFile(path);
    bytes[300] = (bytes[300] as number) ^ 1;
    await writeFile(path, bytes);
  }),
);
test('pipes for snapshots', harmless, toSnapshots(pipeAt));
test(
  'directories for snapshots',
  harmless,
  toSnapshots(async (path) => {
    await rm(path);
    await mkdir(path);
  }),
);

test('blobs missing: what needs them says so, the rest is as before', async (t) => {
  const outcome = await outcomeAfter(t, (dir) => rm(join(dir, 'blobs'), { recursive: true }));
  if (outcome.is !== 'partial') return t.fail(outcome.is);
  t.deepEqual(
    [...outcome.refused].map(([question, { code }]) => [question, code]),
    [['archive', 'BLOB_MISSING']],
  );
});
test('pipes for blobs: they are not waited for', async (t) => {
  const outcome = await outcomeAfter(t, async (dir) => {
    const kept = join(dir, 'blobs', 'sha256');
    for (const name of await readdir(kept)) await pipeAt(join(kept, name));
  });
  if (outcome.is !== 'partial') return t.fail(outcome.is);
  t.deepEqual([...outcome.refused.keys()], ['archive']);
});
test(
  'a file for the blobs',
  refused,
  async (dir) => {
    await rm(join(dir, 'blobs'), { recursive: true });
    await writeFile(join(dir, 'blobs'), '');
  },
  'IO_FAILED',
  /blobs/,
);
