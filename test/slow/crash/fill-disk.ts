import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkStore, type CrashedStore } from './check-store.js';
import type { CrashRun } from './crash-run.js';
import { fillDisk, mountSmallDisk } from './small-disk.js';

const SCRIPT = fileURLToPath(new URL('./children/scripted-run.js', import.meta.url));
const SHARE = 0.075;
const LEAST_ROUNDS = 15;
/** What the script needs at its fullest, and some more. */
const SCRIPT_KIB = 900;
/** What the largest file has that it writes. */
const LARGEST_FILE_KIB = 320;
const DISK_MIB = 16;

/** A script that does everything that writes meets a full disk after so many KiB, a different number each round; then there is room again. */
export async function fillSmallDisk(run: CrashRun): Promise<void> {
  const disk = mountSmallDisk(DISK_MIB);
  try {
    await eachRound(run, SCRIPT_KIB, async (kib) => {
      const store = run.newStore(disk.path);
      const makeRoom = await fillDisk(disk.path, kib * 1_024);
      await runScript(store.directory, store.journal, 'unlimited');
      makeRoom();
      return store;
    });
  } finally {
    disk.unmount();
  }
}

/** The same where no file may become larger than so many KiB: it needs no separate disk. */
export async function limitFileSize(run: CrashRun): Promise<void> {
  await eachRound(run, LARGEST_FILE_KIB, async (kib) => {
    const store = run.newStore();
    await runScript(store.directory, store.journal, kib * 2);
    return store;
  });
}

async function eachRound(run: CrashRun, endKib: number, round: (kib: number) => Promise<CrashedStore>): Promise<void> {
  const rounds = run.rounds(SHARE, LEAST_ROUNDS);
  for (let at = 0; at < rounds; at++) {
    const kib = Math.floor((at * endKib) / rounds) + run.random.below(Math.ceil(endKib / rounds));
    const store = await round(kib);
    const { wrong } = await checkStore(store);
    run.figures.rounds += 1;
    run.figures.faults += [...store.recorded.failed.values()].filter(({ code }) => isOfDisk(code)).length;
    run.figures.acknowledged += store.recorded.done.size;
    run.note(`${kib} KiB`, wrong);
  }
}

function isOfDisk(code: string): boolean {
  return code === 'DISK_FULL' || code === 'OUTCOME_UNKNOWN' || code === 'LOG_FAILED';
}

/** Runs the script; its journal goes through a pipe, which has no size. `blocks` are of 512 bytes. */
async function runScript(directory: string, journal: string, blocks: number | 'unlimited'): Promise<void> {
  const command = '{ ulimit -f "$1"; "$2" "$3" "$4" /dev/stdout 2>&4; echo $? >&3; } | cat >> "$5"';
  const args = ['-c', `exec 4>&2 3>&1; ${command}`, 'sh', `${blocks}`, process.execPath, SCRIPT, directory, journal];
  const { stdout, stderr } = await promisify(execFile)('sh', args);
  if (stdout.trim() === '0') return;
  throw new Error(`the script ended with ${stdout.trim()}: ${stderr} ${readFileSync(journal, 'utf8').slice(-1_000)}`);
}
