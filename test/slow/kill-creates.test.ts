import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { idNamed } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startChild } from './child.js';
import { killAfter, SeededRandom } from './kill-rounds.js';

const ROUNDS = 30;
const CREATES_AT_MOST = 1_500;

const CHILD = new URL('./children/create-many.js', import.meta.url);

/** Checks that the log holds, for each round, the first creates of it in order; returns the ids of all. */
async function prefixes(t: ExecutionContext, directory: string, rounds: number): Promise<Set<string>> {
  await using store = await openStore(directory, { layers: 'none', create: false });
  const found = new Set<string>();
  let round = 0;
  let at = 0;
  for await (const event of store.log.read()) {
    if (event.type !== 'ImageCreated') return t.fail(`found ${event.type}`) as never;
    while (event.image !== idNamed(`${round} ${at}`) && round < rounds) {
      round += 1;
      at = 0;
    }
    if (event.image !== idNamed(`${round} ${at}`)) t.fail(`event ${event.seq} is not the next create of a round`);
    at += 1;
    found.add(event.image);
    if (store.get(event.image).rawJSON().length === 0) t.fail(`image ${event.image} has no config`);
  }
  t.is(store.len(), found.size);
  return found;
}

test(`a process killed with 64 creates in flight, ${ROUNDS} times, loses none that it acknowledged`, async (t) => {
  t.timeout(300_000);
  const random = new SeededRandom();
  t.log(`KILL_SEED=${random.seed}`);
  const root = await temporaryDirectory(t);
  const directory = join(root, 'store');
  const acknowledged = join(root, 'acknowledged');
  writeFileSync(acknowledged, '');
  let found = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    let left = random.below(CREATES_AT_MOST);
    const delayMs = random.below(20);
    const child = startChild(CHILD, [directory, `${round}`, acknowledged], (_, { pid }) => {
      if (pid !== undefined && left-- === 0) killAfter(child.process, delayMs);
    });
    t.is(await child.ended, 'SIGKILL');
    found = await prefixes(t, directory, round);
  }
  const ids = readFileSync(acknowledged, 'utf8').trim().split('\n');
  t.deepEqual(
    ids.filter((id) => !found.has(id)),
    [],
  );
  t.log(`${ids.length} creates acknowledged, none lost; ${found.size - ids.length} durable that nobody was told of`);
  t.true(ids.length > ROUNDS);
});
