import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type DaemonCommand, startDaemon } from '../../../../scripts/bench/daemons/own-daemon.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';
import { testOrSkip } from '../../../support/requires.js';

const onLinux = testOrSkip(process.platform === 'linux' ? undefined : 'processes are read from /proc');

/** A daemon that has a child, and answers once a file is there. */
function sleeper(folder: string): DaemonCommand {
  const up = join(folder, 'up');
  return { program: 'sh', args: ['-c', `sleep 60 & echo $! > ${up}; wait`], folder, ask: () => stat(up) };
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`);
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isRunning)) await new Promise((resolve) => setTimeout(resolve, 10));
}

onLinux('a daemon is known with the processes below it, and is gone after its disposal', async (t) => {
  const folder = await temporaryDirectory(t);
  const daemon = await startDaemon(sleeper(folder));
  const child = Number(await readFile(join(folder, 'up'), 'utf8'));
  t.true(daemon.pids.includes(child));
  t.true(daemon.pids.every(isRunning));
  await daemon[Symbol.asyncDispose]();
  const [shell = 0] = daemon.pids;
  t.false(isRunning(shell));
  process.kill(child);
});

onLinux('a daemon that ends at once is named, with the last line that it wrote', async (t) => {
  const folder = await temporaryDirectory(t);
  const args = ['-c', 'echo first; echo "no place for it" >&2; exit 1'];
  const started = startDaemon({ program: 'sh', args, folder, ask: () => stat(join(folder, 'up')) });
  await t.throwsAsync(started, { message: 'sh does not start: no place for it' });
});

onLinux('a daemon ends with the process that started it, even when that is killed', async (t) => {
  const folder = await temporaryDirectory(t);
  const module = new URL('../../../../scripts/bench/daemons/own-daemon.js', import.meta.url).href;
  const up = join(folder, 'up');
  const source = `import { stat } from 'node:fs/promises';
    const { startDaemon } = await import(${JSON.stringify(module)});
    const args = ['-c', 'echo $$ > ${up}; exec sleep 60'];
    const { pids } = await startDaemon({ program: 'sh', args, folder: '${folder}', ask: () => stat('${up}') });
    console.log(JSON.stringify(pids));
    setInterval(() => undefined, 1_000);`;
  const starter = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = (await once(starter.stdout, 'data')) as [Buffer];
  const pids = JSON.parse(printed.toString()) as number[];
  t.true(pids.length > 1 && pids.every(isRunning));
  starter.kill('SIGKILL');
  await untilGone(pids);
  t.false(pids.some(isRunning));
});
