import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { flippedOutcome } from './flipped-bit.js';
import { logFiles, makeWholeStore, removeWholeStore, type WholeStore } from './whole-store.js';

let whole: WholeStore;
test.before(async () => {
  whole = await makeWholeStore();
});
test.after.always(() => removeWholeStore(whole));

/** The one file of the log whose name is like this, and its size. */
async function theFile(pattern: RegExp): Promise<{ path: string; size: number }> {
  const [name = ''] = await logFiles(whole.directory, pattern);
  const path = join('log', name);
  return { path, size: (await stat(join(whole.directory, path))).size };
}

const everyByte = test.macro({
  async exec(t, pattern: RegExp, message: RegExp) {
    const { path, size } = await theFile(pattern);
    for (let byte = 0; byte < size; byte++) {
      const outcome = await flippedOutcome(t, whole, { path, byte, bit: byte % 8 });
      if (outcome.is !== 'refused') return t.fail(`byte ${byte} of ${path}: ${outcome.is}`);
      t.is(outcome.error.code, 'LOG_CORRUPT');
      t.regex(outcome.error.message, message);
    }
  },
  title: (given) => `a bit that flips in any byte of ${given} is said, and no file is touched`,
});

test('CURRENT', everyByte, /^CURRENT$/, /CURRENT does not name a MANIFEST|MANIFEST-\d+ is missing/);
test(
  'the MANIFEST',
  everyByte,
  /^MANIFEST/,
  /MANIFEST-\d+ is damaged, so that no event can be found; none need be lost/,
);

test('a bit that flips anywhere in the write-ahead log is said with the events it costs, and no file is touched', async (t) => {
  const { path, size } = await theFile(/\.log$/);
  const property = fc.asyncProperty(fc.nat(size - 1), fc.nat(7), async (byte, bit) => {
    const outcome = await flippedOutcome(t, whole, { path, byte, bit });
    if (outcome.is !== 'refused') throw new Error(outcome.is);
    const { code, message } = outcome.error;
    t.is(code, 'LOG_CORRUPT');
    t.regex(message, /(?:is|are) lost|its end was lost|no event is lost there, though rows are/);
  });
  await fc.assert(property, { numRuns: 60 });
});

/** Where the index of events by subject is damaged, a history is short: nothing but a look at all events tells (`verify`). */
const BY_INDEX = /^(?:history of|intervals)/;

test('a bit that flips anywhere in a table serves no wrong event, content or view', async (t) => {
  const { path, size } = await theFile(/\.ldb$/);
  const answers = new Map([...whole.answers].filter(([question]) => !BY_INDEX.test(question)));
  const property = fc.asyncProperty(fc.nat(size - 1), fc.nat(7), async (byte, bit) => {
    // LevelDB moves its write-ahead log into a table when it opens, before the damage in a block can be met.
    const outcome = await flippedOutcome(t, { ...whole, answers }, { path, byte, bit }, { mayChange: /^log\// });
    if (outcome.is === 'refused') t.is(outcome.error.code, 'LOG_CORRUPT');
    if (outcome.is === 'partial') t.true([...outcome.refused.values()].every(({ kind }) => kind === 'Corrupt'));
  });
  await fc.assert(property, { numRuns: 60 });
});

test('a bit that flips in the index of a table, or in its end, is said before LevelDB opens it', async (t) => {
  const { path, size } = await theFile(/\.ldb$/);
  // The last bytes are the magic number, behind the handles of the index and padding.
  for (let byte = size - 8; byte < size; byte++) {
    const outcome = await flippedOutcome(t, whole, { path, byte, bit: 0 });
    t.is(outcome.is === 'refused' ? outcome.error.code : outcome.is, 'LOG_CORRUPT');
  }
  const outcome = await flippedOutcome(t, whole, { path, byte: size - 48 - 3, bit: 1 });
  t.regex(outcome.is === 'refused' ? outcome.error.message : '', /has a damaged index, and with it events/);
});
