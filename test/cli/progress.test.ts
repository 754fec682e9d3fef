import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { Output, type OutputStream } from '../../src/cli/output.js';
import { Pace, type Progress, progressBar, StepBars } from '../../src/cli/render/progress.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, SESSION_START, startSession } from './session.js';

/** Standard error of `columns` columns, or a pipe, and a clock that is moved by hand. */
class Surroundings {
  time = 1_000_000;
  written = '';
  readonly quiet: boolean;
  readonly io = { now: () => this.time };
  readonly err: Output;

  constructor({ columns, quiet = false }: { readonly columns?: number; readonly quiet?: boolean } = {}) {
    this.quiet = quiet;
    const write = (text: string): void => {
      this.written += text;
    };
    const stream = { isTTY: columns !== undefined, columns, on: () => stream, write };
    this.err = new Output(stream as unknown as OutputStream);
  }

  get lines(): string[] {
    return this.written.split('\n').slice(0, -1);
  }
}

const MEGABYTE = 1_000_000;

test('a progress bar hides the cursor, draws ten times a second, and leaves nothing behind', (t) => {
  const around = new Surroundings({ columns: 60 });
  const bar = progressBar(around, 'shop.tar');
  bar.update(0, 2_000);
  around.time += 99;
  bar.update(500, 2_000);
  around.time += 1;
  bar.update(1_000, 2_000);
  around.time += 100;
  bar.update(1_500, undefined);
  bar.update(2_000, 2_000);
  bar.end();
  bar.end();
  t.deepEqual(around.written.split('\r\u001b[2K'), [
    '\u001b[?25l',
    `shop.tar  ${'░'.repeat(29)}  0 B of 2 kB`,
    `shop.tar  ${'█'.repeat(15)}${'░'.repeat(14)}  1 kB of 2 kB`,
    'shop.tar  1.5 kB',
    `shop.tar  ${'█'.repeat(29)}  2 kB of 2 kB`,
    '\u001b[?25h',
  ]);
});

for (const [columns, shown] of [
  [140, `load shop.tar  ${'█'.repeat(12)}${'░'.repeat(28)}  9.99 MB of 33.3 MB, about 58 min left`],
  [80, `load shop.tar  ${'█'.repeat(8)}${'░'.repeat(17)}  9.99 MB of 33.3 MB, about 58 min left`],
  [70, `load shop.tar  ${'█'.repeat(5)}${'░'.repeat(10)}  9.99 MB of 33.3 MB, about 58 min left`],
  [50, `load shop.tar  ${'█'.repeat(4)}${'░'.repeat(10)}  9.99 MB of 33.3 MB`],
] as const) {
  test(`a bar of ${columns} columns says how long it takes where there is room, and is no wider`, (t) => {
    const around = new Surroundings({ columns });
    const bar = progressBar(around, 'load shop.tar');
    bar.update(0, 33.3 * MEGABYTE);
    around.time += 1_500_000;
    bar.update(9.99 * MEGABYTE, 33.3 * MEGABYTE);
    t.is(around.written.split('\r\u001b[2K')[2], shown);
    t.true(shown.length <= columns);
    bar.end();
  });
}

test('with --quiet neither a terminal nor a pipe gets anything', (t) => {
  for (const columns of [undefined, 80]) {
    const around = new Surroundings({ quiet: true, ...(columns === undefined ? {} : { columns }) });
    const bar = progressBar(around, 'shop.tar');
    bar.update(1, 2);
    around.time += 60_000;
    bar.update(2, 2);
    bar.end();
    t.is(around.written, '');
  }
});

test('a pipe gets a line after three seconds and one every five, with an estimate', (t) => {
  const around = new Surroundings();
  const progress = progressBar(around, 'load shop.tar');
  for (let second = 0; second <= 14; second++) {
    progress.update(second * 100 * MEGABYTE, 4_000 * MEGABYTE);
    around.time += 1_000;
  }
  progress.end();
  t.deepEqual(around.lines, [
    'load shop.tar: 300 MB of 4 GB (7 %), about 37 s left',
    'load shop.tar: 800 MB of 4 GB (20 %), about 32 s left',
    'load shop.tar: 1.3 GB of 4 GB (32 %), about 27 s left',
  ]);
});

test('an unknown total is reported as such, and at the end nothing is estimated', (t) => {
  const around = new Surroundings();
  const progress = progressBar(around, 'load standard input');
  around.time += 10_000;
  progress.update(12 * MEGABYTE, undefined);
  around.time += 10_000;
  progress.update(13 * MEGABYTE, 4_000 * MEGABYTE);
  around.time += 10_000;
  progress.update(24 * MEGABYTE, 24 * MEGABYTE);
  around.time += 10_000;
  progress.update(0, 0);
  progress.end();
  t.deepEqual(around.lines, [
    'load standard input: 12 MB, of an unknown total',
    'load standard input: 13 MB of 4 GB (0 %)',
    'load standard input: 24 MB of 24 MB (100 %), finishing',
    'load standard input: 0 B of 0 B (100 %), finishing',
  ]);
});

test('work that is done within three seconds says nothing, and a clock that is put back breaks nothing', (t) => {
  const around = new Surroundings();
  const short = progressBar(around, 'short');
  around.time += 2_900;
  short.update(1, 1);
  short.end();
  t.is(around.written, '');
  const progress = progressBar(around, 'put back');
  around.time -= 3_600_000;
  progress.update(1, 2);
  progress.end();
  t.is(around.written, '');
});

test('work that reports nothing for a while still gets a line', async (t) => {
  const around = new Surroundings();
  const progress: Progress = progressBar(around, 'prune, events', String);
  progress.update(500, 500);
  around.time += 4_000;
  const deadline = Date.now() + 30_000;
  while (around.written === '' && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  progress.end();
  t.deepEqual(around.lines, ['prune, events: 500 of 500 (100 %), finishing']);
});

test('the steps of a command share its pace: none says something too soon, and all together not too late', (t) => {
  const around = new Surroundings();
  const bars = new StepBars(around, (what: 'events' | 'content') => ({ title: `verify ${what}`, textOf: String }));
  bars.show({ what: 'events', done: 1, total: 2 });
  around.time += 2_000;
  bars.show({ what: 'content', done: 1, total: 4 });
  around.time += 2_000;
  bars.show({ what: 'content', done: 2, total: 4 });
  around.time += 2_000;
  bars.show({ what: 'events', done: 2, total: 2 });
  bars.end();
  t.deepEqual(around.lines, ['verify content: 2 of 4 (50 %), about 4 s left']);
  const pace = new Pace(around.io);
  for (const name of ['a', 'b']) {
    around.time += 3_000;
    const progress = progressBar(around, name, String, pace);
    progress.update(1, 2);
    progress.end();
  }
  t.is(around.lines[1], 'a: 1 of 2 (50 %)');
  t.is(around.lines.length, 2);
});

test('on the command line long work says so on a pipe, and --quiet does not', async (t) => {
  const { folder, wait, done, runIn } = await startSession(t);
  const slow = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(archive('docker25-all.tar'), { highWaterMark: 4_096 })) {
      wait(1_000);
      yield chunk as Buffer;
    }
  };
  const loaded = await runIn({ stdin: Readable.from(slow()) }, 'load');
  t.is(loaded.code, 0, loaded.stderr);
  t.regex(loaded.stderr, /^load standard input: [\d.]+ kB, of an unknown total\n/);
  const quiet = await runIn({ stdin: Readable.from(slow()) }, 'load', '--quiet');
  t.is(quiet.stderr, '');
  const target = join(folder, 'backup');
  await done('backup', target);
  t.is((await runIn({}, 'verify', target)).stderr, '', 'the clock of this session stands');
});

test('an estimated total is never less than what is done', (t) => {
  const around = new Surroundings();
  const bar = progressBar(around, 'backup', String);
  bar.update(198, 0);
  around.time += 3_000;
  bar.update(838, 809);
  bar.end();
  t.deepEqual(around.lines, ['backup: 838 of 838 (100 %), finishing']);
});

test('a long read of the log says on a pipe how far it is, and nothing on a terminal or with --quiet', async (t) => {
  const { store: directory, wait, done, runIn } = await startSession(t);
  await done('load', '--quiet', archive('docker25-untagged.tar'), '--tag', 'a:1');
  const store = await openStore(directory, { now: () => SESSION_START });
  const image = store.resolve('a:1');
  await Promise.all(Array.from({ length: 2_000 }, (_, at) => store.setMetadata(image, `key-${at}`, new Uint8Array(1))));
  await store.close();
  // Each piece of output takes so long.
  const onOutput = (): void => wait(1_000);
  for (const form of [['--json'], ['--oneline'], ['--events', '--type', 'MetadataSet']]) {
    const { stderr } = await runIn({ onOutput }, 'log', ...form);
    t.regex(stderr, /^(?:read events: \d+ of \d+ \(\d+ %\)(?:, .*)?\n)+$/, form.join(' '));
    t.is((await runIn({ onOutput }, 'log', '--quiet', ...form)).stderr, '');
    t.is((await runIn({ onOutput, columns: 80 }, 'log', '--no-pager', ...form)).stderr, '');
  }
});
