import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { parseCheckpoint } from '../../../src/log/checkpoint.js';
import { createKeyFile, readKeyFile } from '../../../src/store/keys.js';
import { testOrSkip } from '../../support/requires.js';
import { whyNoStrace } from '../../support/strace.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { callsOf, type Ended, type Fault, type FaultPoint, FAULTS, runWithFault } from './fault-points.js';

const SCRIPT = fileURLToPath(new URL('./children/make-key.js', import.meta.url));
const test = testOrSkip(whyNoStrace());

interface Told {
  readonly verifierKey?: string;
  readonly signed: readonly number[];
  readonly failure?: string;
}

/** What a run under a fault left: its directory, and what it told. */
interface Left extends Ended {
  readonly directory: string;
  readonly told: Told;
}

/**
 * Runs the script once for each call that it makes about its files and every fault; `check` looks
 * at what is left.
 */
async function underEveryFault(
  t: ExecutionContext,
  what: 'make' | 'sign',
  check: (left: Left, name: string) => Promise<void>,
): Promise<void> {
  const place = await temporaryDirectory(t);
  const newDirectory = async (name: string): Promise<string> => {
    const directory = join(place, name, 'keys');
    mkdirSync(directory, { recursive: true });
    if (what === 'sign') await createKeyFile(join(directory, 'log.key'), 'a');
    return directory;
  };
  const clean = await newDirectory('clean');
  const points = await callsOf(SCRIPT, [clean, what], clean);
  t.true(
    points.some(({ call }) => call === 'link'),
    'the trace has the calls',
  );
  let injected = 0;
  const faults = points.flatMap((point) => FAULTS.map((fault) => ({ point, fault })));
  // strace counts each thread's calls: the n-th of two threads is one fault.
  const waiting = [...new Map(faults.map((each) => [nameOf(each.point, each.fault), each])).values()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const name = nameOf(next.point, next.fault);
      const directory = await newDirectory(name.replaceAll(/\W+/g, '-'));
      const ended = await runWithFault(SCRIPT, [directory, what], { ...next, directory });
      injected += ended.injected;
      t.true(
        ended.how === 0 || (ended.how === 'SIGKILL' && next.fault === 'SIGKILL'),
        `${name}: ${ended.how} ${ended.stderr}`,
      );
      await check({ ...ended, directory, told: toldOf(directory) }, name);
    }
  };
  await Promise.all([work(), work()]);
  t.log(`${points.length} calls, ${injected} calls failed`);
  t.true(injected > 0);
}

function nameOf({ path, call, nth }: FaultPoint, fault: Fault): string {
  return `${fault} at ${call} ${nth} of ${path}`;
}

function toldOf(directory: string): Told {
  const path = join(dirname(directory), 'keys.told');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Told) : { signed: [] };
}

test('after any failure, a key that was not made is not there, and one that is there is whole and known', async (t) => {
  await underEveryFault(t, 'make', async ({ directory, told, how }, name) => {
    const path = join(directory, 'log.key');
    const known = `${told.verifierKey} ${told.failure}`;
    if (existsSync(path)) {
      const { verifierKey } = await readKeyFile(path);
      t.true(
        how === 'SIGKILL' || known.includes(verifierKey),
        `${name}: a key is there that nobody was told of: ${known}`,
      );
    } else {
      t.is(told.verifierKey, undefined, `${name}: the key that was told of is not there`);
      await createKeyFile(path, 'a');
    }
    const others = readdirSync(directory).filter((each) => each !== 'log.key');
    // What a killed process had begun is left; what cannot be removed is named.
    const isTold = how === 'SIGKILL' || others.every((each) => known.includes(each));
    t.true(isTold, `${name}: ${others.join()} is left, and ${known} does not tell`);
  });
});

test('after any failure, every signature given is in the memory of the key', async (t) => {
  await underEveryFault(t, 'sign', async ({ directory, told }, name) => {
    const memory = join(directory, 'log.key.signed');
    const texts = existsSync(memory)
      ? readdirSync(memory)
          .filter((each) => /^\d+$/.test(each))
          .map((each) => readFileSync(join(memory, each), 'utf8'))
      : [];
    const remembered = Math.max(0, ...texts.map((text) => parseCheckpoint(text).size));
    t.true(
      remembered >= Math.max(0, ...told.signed),
      `${name}: ${told.signed.join()} signed, ${remembered} remembered`,
    );
  });
});

test('what another process wrote into the memory is made durable before it is relied on', async (t) => {
  const directory = join(await temporaryDirectory(t), 'keys');
  mkdirSync(directory);
  await createKeyFile(join(directory, 'log.key'), 'a');
  await callsOf(SCRIPT, [directory, 'sign'], directory);
  // The second run writes nothing: all that it signs is remembered.
  const calls = await callsOf(SCRIPT, [directory, 'sign'], directory);
  t.false(calls.some(({ call }) => call === 'link'));
  t.true(
    calls.some(({ call, path }) => call === 'fsync' && path === 'log.key.signed'),
    JSON.stringify(calls),
  );
});
