import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openStore } from '../../../src/store/open/open-store.js';
import { startChild } from '../child.js';
import { CONSUMER, type ConsumerRun, HANDLED_ACTOR, runsOf, wrongRuns } from './consumed-events.js';
import type { CrashRun } from './crash-run.js';

const SHARE = 0.1;
const LEAST_ROUNDS = 15;
const EVENTS_AT_MOST = 60;
const CHILD = new URL('./children/consume-many.js', import.meta.url);

/**
 * A process that writes, and whose consumer handles every other event, is killed between handling and acknowledging. Over all
 * rounds each event is handled at least once and in order, and none again that was acknowledged.
 */
export async function killConsumers(run: CrashRun): Promise<void> {
  const { random, figures } = run;
  const { directory } = run.newStore();
  const diary = join(dirname(directory), 'diary');
  writeFileSync(diary, '');
  const rounds = run.rounds(SHARE, LEAST_ROUNDS);
  for (let round = 0; round < rounds; round++) {
    let left = random.below(EVENTS_AT_MOST);
    const delayMs = random.below(5);
    const child = startChild(CHILD, [directory, `${round}`, diary], () => {
      if (left-- === 0) setTimeout(() => child.process.kill('SIGKILL'), delayMs);
    });
    const ended = await child.ended;
    figures.rounds += 1;
    if (ended === 'SIGKILL') figures.faults += 1;
    else run.note(`round ${round}`, [`the process ended by itself with ${ended}`]);
  }
  const runs = runsOf(readFileSync(diary, 'utf8'), rounds);
  const { wanted, rest } = await handleTheRest(directory);
  run.note(`after ${rounds} rounds`, wrongRuns([...runs, rest], wanted));
  figures.acknowledged = runs.flatMap(({ acknowledged }) => acknowledged).length;
  const handled = runs.flatMap((each) => each.handled);
  run.log(
    `${handled.length} events handled by processes that were killed, ${handled.length - new Set(handled).size} of them again`,
  );
}

/** Handles what nobody handled to its end; returns that, and all that was to be handled. */
async function handleTheRest(directory: string): Promise<{ wanted: number[]; rest: ConsumerRun }> {
  await using store = await openStore(directory, { layers: 'none', create: false });
  const wanted: number[] = [];
  for await (const { seq } of store.log.read({ filter: { actor: HANDLED_ACTOR } })) wanted.push(seq);
  const handled: number[] = [];
  const consumer = store.consumer(CONSUMER, { filter: { actor: HANDLED_ACTOR } });
  const events = consumer[Symbol.asyncIterator]();
  while (consumer.position < (wanted.at(-1) ?? 0)) {
    const { value, done } = await events.next();
    if (done === true) break;
    handled.push(value.seq);
    await consumer.ack(value);
  }
  return { wanted, rest: { handled, acknowledged: handled } };
}
