import test from 'ava';
import { parseOptions } from '../../../scripts/bench/options.js';

test('seven rounds count unless another number is asked for', (t) => {
  t.deepEqual(parseOptions([]).sizes.rounds, { warmUp: 1, counted: 7 });
  t.deepEqual(parseOptions(['--quick']).sizes.rounds, { warmUp: 1, counted: 3 });
  t.deepEqual(parseOptions(['--quick', '--rounds', '21']).sizes.rounds, { warmUp: 1, counted: 21 });
});

test('a quick run and fewer than seven rounds are not judged', (t) => {
  t.true(parseOptions([]).isJudged);
  t.true(parseOptions(['--rounds', '9']).isJudged);
  t.false(parseOptions(['--rounds', '6']).isJudged);
  t.false(parseOptions(['--quick', '--rounds', '9']).isJudged);
});

test('a smoke run has one round, no warm-up, and tiny sizes, and is not judged', (t) => {
  const { sizes, isJudged } = parseOptions(['--smoke']);
  t.deepEqual(sizes.rounds, { warmUp: 0, counted: 1 });
  t.true(sizes.scale < 0.1);
  t.false(isJudged);
  t.throws(() => parseOptions(['--smoke', '--quick']), { instanceOf: RangeError });
});

test('a case is run again twice at most unless another number is asked for, and only to be judged', (t) => {
  t.is(parseOptions([]).repeats, 2);
  t.is(parseOptions(['--repeats', '0']).repeats, 0);
  t.is(parseOptions(['--quick', '--repeats', '3']).repeats, 0);
  t.throws(() => parseOptions(['--repeats', 'x']), { instanceOf: RangeError });
});

test('a page is only written from a run that is judged', (t) => {
  t.is(parseOptions(['--markdown', 'page.md', 'create']).markdown, 'page.md');
  t.throws(() => parseOptions(['--markdown', 'page.md', '--quick']), { instanceOf: RangeError, message: /judged/ });
});

test('stores above the largest that is asked for are left out', (t) => {
  const { imageCounts, logSizes } = parseOptions(['--largest', '100000']).sizes;
  t.deepEqual(imageCounts, [1_000, 10_000, 100_000]);
  t.deepEqual(logSizes, [10_000, 100_000]);
});

test('names and the rest are taken as they are', (t) => {
  const options = parseOptions(['append', '--json', 'growth', '--svg', 'chart.svg', '--fresh']);
  t.deepEqual(options.names, ['append', 'growth']);
  t.like(options, { json: true, isJudged: true, help: false, svg: 'chart.svg' });
  t.true(options.sizes.fresh);
});

for (const text of ['0', '-1', '1.5', 'x', ''])
  test(`'${text}' is not a number of rounds`, (t) => {
    t.throws(() => parseOptions([`--rounds=${text}`]), { instanceOf: RangeError, message: /--rounds/ });
  });
