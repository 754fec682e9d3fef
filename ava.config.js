import { mkdtempSync, rmSync, statfsSync } from 'node:fs';

/** Stores of tests are made in memory where there is room for them: nothing of the quick suite is about a disk. */
const MEMORY = '/dev/shm';
const ROOM_BYTES = 2 ** 30;

// The build puts the tests of a folder in one file; a test that is named on the command line runs alone.
const isNamed = process.argv.slice(2).some((argument) => argument.includes('dist/test/'));

/** The suite that a newcomer runs; what is slow or needs other tools has its own config. */
export default {
  files: isNamed
    ? ['dist/test/**/*.test.js', '!dist/test/slow/**', '!dist/test/interop/**']
    : ['dist/test-suites/*.test.js'],
  // Hundreds of stores of one suite are not open at once.
  serial: true,
  environmentVariables: temporaryInMemory(),
  // Without a result for so long, something hangs. A busy machine is slow.
  timeout: '20m',
};

function temporaryInMemory() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize < ROOM_BYTES) return {};
    const directory = mkdtempSync(`${MEMORY}/imagelog-`);
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    // ava ends by itself when interrupted; other signals would leave the directory in memory.
    for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
    return { TMPDIR: directory };
  } catch {
    // No memory file system, as on a Mac: the disk will do.
    return {};
  }
}
