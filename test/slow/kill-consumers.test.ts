import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startChild } from './child.js';
import { CONSUMER, HANDLED_ACTOR, runsOf, wrongRuns } from './consumed-events.js';
import { killAfter, SeededRandom } from './kill-rounds.js';

const ROUNDS = 30;
const EVENTS_AT_MOST = 60;

const CHILD = new URL('./children/consume-many.js', import.meta.url);

test('the checker of runs finds events left out, out of order and given again', (t) => {
  const wanted = [1, 3, 5, 7];
  const run = (handled: number[], acknowledged: number[] = []) => ({ handled, acknowledged });
  t.deepEqual(wrongRuns([run([1, 3], [1]), run([]), run([3, 5]), run([3, 5, 7])], wanted), []);
  t.deepEqual(wrongRuns([run([1]), run([5, 7])], wanted), ['run 1 leaves 1 events out']);
  t.deepEqual(wrongRuns([run([1, 3], [1, 3]), run([3, 5, 7])], wanted), ['run 1 handles an acknowledged event again']);
  t.deepEqual(wrongRuns([run([1, 5, 7])], wanted), ['run 0 handles 5 out of order']);
  t.deepEqual(wrongRuns([run([1, 3, 5])], wanted), ['1 events at the end were never handled']);
  t.deepEqual(runsOf('0 handled 1\n1 handled 1\n1 acknowledged 1\n', 2), [run([1]), run([1], [1])]);
});

test(`a consumer killed between handling and ack, ${ROUNDS} times, handles each event at least once and in order`, async (t) => {
  t.timeout(300_000);
  const random = new SeededRandom();
  t.log(`KILL_SEED=${random.seed}`);
  const root = await temporaryDirectory(t);
  const directory = join(root, 'store');
  const diary = join(root, 'diary');
  writeFileSync(diary, '');
  for (let round = 0; round < ROUNDS; round++) {
    let left = random.below(EVENTS_AT_MOST);
    const delayMs = random.below(5);
    const child = startChild(CHILD, [directory, `${round}`, diary], (_, { pid }) => {
      if (pid !== undefined && left-- === 0) killAfter(child.process, delayMs);
    });
    t.is(await child.ended, 'SIGKILL');
  }
  await using store = await openStore(directory, { layers: 'none', create: false });
  const wanted: number[] = [];
  for await (const { seq } of store.log.read({ filter: { actor: HANDLED_ACTOR } })) wanted.push(seq);
  const rest: number[] = [];
  const consumer = store.consumer(CONSUMER, { filter: { actor: HANDLED_ACTOR } });
  const events = consumer[Symbol.asyncIterator]();
  while (consumer.position < (wanted.at(-1) ?? 0)) {
    const { value, done } = await events.next();
    if (done === true) break;
    rest.push(value.seq);
    await consumer.ack(value);
  }
  const runs = runsOf(readFileSync(diary, 'utf8'), ROUNDS);
  t.deepEqual(wrongRuns([...runs, { handled: rest, acknowledged: rest }], wanted), []);
  const handled = runs.flatMap((run) => run.handled);
  t.log(
    `${handled.length} events handled by runs that were killed, ${handled.length - new Set(handled).size} of them again`,
  );
  t.true(handled.length > ROUNDS);
});
