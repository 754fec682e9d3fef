import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { flippedOutcome } from '../store/damage/flipped-bit.js';
import { logFiles, makeWholeStore, removeWholeStore, type WholeStore } from '../store/damage/whole-store.js';

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
  title: (given) => `a bit that flips in any byte of ${given} is reported, and no file is changed`,
});

test('CURRENT', everyByte, /^CURRENT$/, /CURRENT does not name a MANIFEST|MANIFEST-\d+ is missing/);
test(
  'the MANIFEST',
  everyByte,
  /^MANIFEST/,
  /MANIFEST-\d+ is damaged, so that no event can be found; none need be lost/,
);

test('a bit that flips anywhere in the write-ahead log is reported with the events it costs, and no file is changed', async (t) => {
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

test('a bit that flips anywhere in a table is reported with the events it can cost, and no file is changed', async (t) => {
  const { path, size } = await theFile(/\.ldb$/);
  const said = new Set<string>();
  const property = fc.asyncProperty(fc.nat(size - 1), fc.nat(7), async (byte, bit) => {
    const outcome = await flippedOutcome(t, whole, { path, byte, bit });
    // What fills the footer up is read by nobody.
    if (outcome.is === 'whole') return byte >= size - 48 && byte < size - 8;
    if (outcome.is !== 'refused') throw new Error(outcome.is);
    t.is(outcome.error.code, 'LOG_CORRUPT');
    t.regex(
      outcome.error.message,
      /the table \d+\.ldb (?:is damaged between|has a damaged (?:index|end)).* and with it (?:events|event \d|rows)/,
    );
    said.add(outcome.error.message);
    return true;
  });
  await fc.assert(property, {
    numRuns: 60,
    examples: [
      [0, 0],
      [size - 1, 0],
      [size - 48, 0],
      [size - 51, 1],
    ],
  });
  t.true(said.size >= 3);
});
