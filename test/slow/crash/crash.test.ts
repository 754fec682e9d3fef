import test from 'ava';
import { testOrSkip } from '../../support/requires.js';
import { whyNoStrace } from '../../support/strace.js';
import { CrashRun, formatFigures } from './crash-run.js';
import { fillSmallDisk, limitFileSize } from './fill-disk.js';
import { injectFaults } from './inject-faults.js';
import { darkenBackups, darkenRestores, killBackups } from './kill-backups.js';
import { killConsumers } from './kill-consumers.js';
import { operationParts } from './kill-operations.js';
import { killPushes } from './kill-pushes.js';
import { killUploads } from './kill-uploads.js';
import { killWriters } from './kill-writers.js';
import { losePower } from './lose-power.js';
import { whyNoDisk } from './small-disk.js';

/*
 * The crash suite. CRASH_ROUNDS says how long it is: 200 by default, which CI has time for; from 5,000 on every fault is tried at
 * every call of the system. CRASH_SEED repeats a run, CRASH_ONLY one fault by its name. It ends with a table of what it did.
 */

type Part = (run: CrashRun) => Promise<void>;

/** Time for all of it: nobody knows how many rounds it was given. */
const MOST_MS = 24 * 3_600_000;
/** As many parts as CI has cores: with more of them each only gets slower. */
const PARTS_AT_ONCE = 2;

const runs: CrashRun[] = [];
const waiting: (() => void)[] = [];
let running = 0;

function part(title: string, work: Part, whyNot?: string): void {
  testOrSkip(whyNot)(title, async (t) => {
    t.timeout(MOST_MS);
    if (running++ >= PARTS_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    const run = new CrashRun(t);
    runs.push(run);
    try {
      await work(run);
    } catch (error) {
      // At once: a suite that is stopped never shows what ava keeps for its end.
      run.log(error instanceof Error ? (error.stack ?? error.message) : String(error));
      throw error;
    } finally {
      if (run.wrong.length > 0) run.log(...run.wrong);
      run.end();
      running--;
      waiting.shift()?.();
    }
    t.deepEqual(run.wrong, []);
    t.true(run.figures.faults > 0 && run.figures.acknowledged > 0);
  });
}

part('EIO, ENOSPC or kill -9 at the n-th call of the system', injectFaults, whyNoStrace());
part('the power goes after the n-th call of the system', losePower, whyNoStrace());
part('kill -9 at any moment, 1 to 64 requests at once', killWriters);
part('kill -9 between an event and its acknowledgement', killConsumers);
part('kill -9 at any moment of uploads', killUploads);
part('kill -9 at any moment of pushes', killPushes);
part('kill -9 before every call of a backup, after content was erased and came again', killBackups, whyNoStrace());
part('the power goes after a call of a backup', darkenBackups, whyNoStrace());
part('the power goes after a call of a restore', darkenRestores, whyNoStrace());
for (const [name, work] of operationParts) part(`kill -9 during ${name}`, work);
part('a disk that fills up', fillSmallDisk, whyNoDisk());
part('a limit of file sizes', limitFileSize);

test.after.always('rounds, faults and losses', (t) => {
  t.log(formatFigures(runs));
});
