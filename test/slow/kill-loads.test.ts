import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { blobFiles, wrongFiles } from '../store/temporary-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startChild } from './child.js';
import { killAfter, SeededRandom } from './kill-rounds.js';
import { numberedArchive } from './numbered-archive.js';

const ROUNDS = 30;
const LOADS_A_ROUND = 4;
/** Messages of a load: one for each chunk that was read, and the answer. */
const MESSAGES_A_LOAD = 8;

const CHILD = new URL('./children/load-in-turn.js', import.meta.url);

type Message = { readonly type: 'chunk' } | { readonly type: 'loaded'; readonly number: number };

/** Starts loads from archive `first`, kills them at a random moment, and returns the numbers that were acknowledged. */
async function killedRound(directory: string, first: number, random: SeededRandom): Promise<number[]> {
  // Every second kill is aimed at what comes between the last chunk and the answer: keeping blobs and the append.
  const inLoad = random.below(2) === 0 ? MESSAGES_A_LOAD - 2 : random.below(MESSAGES_A_LOAD);
  let left = random.below(LOADS_A_ROUND) * MESSAGES_A_LOAD + inLoad;
  const delayMs = random.below(2) * random.below(40);
  const { messages, ended } = startChild<Message>(CHILD, [directory, `${first}`, `${LOADS_A_ROUND}`], (_, child) => {
    if (left-- === 0) killAfter(child, delayMs);
  });
  await ended;
  return messages.flatMap((message) => (message.type === 'loaded' ? [message.number] : []));
}

/** Checks that each archive is in the store whole or not at all; returns the numbers of those that are. */
async function wholeLoads(t: ExecutionContext, directory: string, end: number): Promise<number[]> {
  await using store = await openStore(directory);
  const whole: number[] = [];
  for (let number = 0; number < end; number++) {
    const { ids, references } = await numberedArchive(number);
    const found = ids.filter((id) => store.map().has(id));
    const named = references.filter((name) => store.referenceEntries().some(({ reference }) => reference === name));
    t.is(named.length, found.length, `names of archive ${number}`);
    if (found.length === 0) continue;
    t.deepEqual(found, [...ids], `archive ${number}`);
    for (const id of ids) t.true(store.get(id).rawJSON().length > 0);
    whole.push(number);
  }
  t.is(store.len(), 2 * whole.length);
  t.is(store.stats().layers, 2 * whole.length);
  return whole;
}

/** What is wrong after an open. An open does not sweep the blobs of a log without events: it may have lost them. */
async function leftAfterOpen(directory: string, whole: readonly number[]): Promise<string[]> {
  const left = await wrongFiles(directory);
  return whole.length > 0 ? left : left.filter((what) => !/^blobs\/sha256\/\w+ belongs to nothing$/.test(what));
}

test(`a process killed during loads, ${ROUNDS} times, leaves whole loads and nothing else`, async (t) => {
  t.timeout(300_000);
  const random = new SeededRandom();
  t.log(`KILL_SEED=${random.seed}`);
  const directory = join(await temporaryDirectory(t), 'store');
  const acknowledged = new Set<number>();
  let unacknowledged = 0;
  const during = { staging: 0, keeping: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const first = round * LOADS_A_ROUND;
    for (const number of await killedRound(directory, first, random)) acknowledged.add(number);
    // Before the sweep of the next open: an event without its blob would be a bug, a blob without its event is not.
    const left = await wrongFiles(directory);
    t.deepEqual(
      left.filter((what) => !what.endsWith('belongs to nothing')),
      [],
      `round ${round}`,
    );
    if (left.some((what) => what.includes('staging'))) during.staging += 1;
    else if (left.length > 0) during.keeping += 1;
    const whole = await wholeLoads(t, directory, first + LOADS_A_ROUND);
    for (const number of acknowledged) t.true(whole.includes(number), `load ${number} was acknowledged`);
    unacknowledged = whole.filter((number) => !acknowledged.has(number)).length;
    t.deepEqual(await leftAfterOpen(directory, whole), [], `round ${round}`);
  }
  t.deepEqual(await wrongFiles(directory), [], 'all that was left has gone with the first load');
  const layers = new Set(blobFiles(directory).map((file) => file.digest));
  for (const number of acknowledged)
    for (const layer of (await numberedArchive(number)).layerDigests) t.true(layers.has(layer));
  t.log(`${acknowledged.size} loads acknowledged, none lost; ${unacknowledged} durable that nobody was told of`);
  t.log(`killed while files were staged: ${during.staging}, between the blobs and their events: ${during.keeping}`);
  t.true(acknowledged.size > 0 && during.staging > 0);
});
