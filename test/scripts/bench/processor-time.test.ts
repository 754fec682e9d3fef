import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { processTree } from '../../../scripts/bench/processor-time.js';
import { timeOf } from '../../../scripts/bench/rounds.js';
import { testOrSkip } from '../../support/requires.js';

const onLinux = testOrSkip(process.platform === 'linux' ? undefined : 'processor time is read from /proc');
const run = promisify(execFile);

/** Works for about a tenth of a second of processor time. */
const WORK = 'const end = process.cpuUsage().user + 100_000; while (process.cpuUsage().user < end);';

onLinux('processor time is that of children that ended', async (t) => {
  const { wall, cpu } = await timeOf(() => run(process.execPath, ['-e', WORK]));
  t.true(cpu >= 0.1, `${cpu}`);
  t.true(wall > 0);
});

onLinux('processor time of a server counts where its id is given, and is refused once it has ended', async (t) => {
  const source = `process.stdin.on('data', () => { ${WORK} console.log('done'); });`;
  const server = spawn(process.execPath, ['-e', source], { stdio: ['pipe', 'pipe', 'inherit'] });
  const pid = server.pid ?? 0;
  const ask = async (): Promise<unknown> => {
    server.stdin.write('work');
    return once(server.stdout, 'data');
  };
  t.true((await timeOf(ask, [pid])).cpu >= 0.09);
  t.true((await timeOf(ask)).cpu < 0.09);
  t.deepEqual(processTree(pid), [pid]);
  t.true(processTree(process.pid).includes(pid));
  server.kill();
  await once(server, 'exit');
  await t.throwsAsync(
    timeOf(() => undefined, [pid]),
    { message: /has ended/ },
  );
});
