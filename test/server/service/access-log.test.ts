import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test from 'ava';
import { MAX_PENDING_LOG_BYTES } from '../../../src/limits.js';
import { AccessLog, openLogFile, type RequestReport, streamLog } from '../../../src/server/service/access-log.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const report: RequestReport = {
  time: 0,
  address: '10.0.0.1',
  actor: 'ann',
  method: 'GET',
  path: '/v2/',
  route: '/v2',
  status: 200,
  bytesIn: 80,
  bytesOut: 200,
  durationMs: 1.23456,
  isCut: false,
  agent: undefined,
  requestId: 'r1',
  traceparent: undefined,
  code: undefined,
  reason: undefined,
  user: undefined,
};

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('each request is a line of JSON, and each refused connection', async (t) => {
  const path = join(await temporaryDirectory(t), 'access.log');
  const log = new AccessLog(await openLogFile(path), (notice) => t.fail(notice));
  log.request(report);
  log.request({ ...report, status: 401, code: 'UNAUTHORIZED', actor: undefined, isCut: true });
  log.refused({ address: '10.0.0.2', status: 429, code: 'TOOMANYREQUESTS' }, 1_000);
  await log.close();
  const common = {
    address: '10.0.0.1',
    method: 'GET',
    path: '/v2/',
    bytes: 200,
    bytesIn: 80,
    ms: 1.235,
    requestId: 'r1',
  };
  t.deepEqual(linesOf(await readFile(path, 'utf8')), [
    { time: '1970-01-01T00:00:00.000Z', actor: 'ann', status: 200, ...common },
    { time: '1970-01-01T00:00:00.000Z', status: 401, code: 'UNAUTHORIZED', cut: true, ...common },
    { time: '1970-01-01T00:00:01.000Z', address: '10.0.0.2', status: 429, code: 'TOOMANYREQUESTS' },
  ]);
});

test('a log that was moved continues in a new file', async (t) => {
  const path = join(await temporaryDirectory(t), 'access.log');
  const log = new AccessLog(await openLogFile(path), (notice) => t.fail(notice));
  log.request({ ...report, path: '/1' });
  await rename(path, `${path}.1`);
  log.request({ ...report, path: '/2' });
  await log.reopen();
  log.request({ ...report, path: '/3' });
  await log.close();
  t.deepEqual(
    linesOf(await readFile(`${path}.1`, 'utf8')).map((line) => line['path']),
    ['/1', '/2'],
  );
  t.deepEqual(
    linesOf(await readFile(path, 'utf8')).map((line) => line['path']),
    ['/3'],
  );
});

test('a log that cannot be reopened continues in the old file, with a notice', async (t) => {
  const notices: string[] = [];
  const folder = join(await temporaryDirectory(t));
  const path = join(folder, 'access.log');
  const log = new AccessLog(await openLogFile(path), (notice) => notices.push(notice));
  await rename(folder, `${folder}.moved`);
  await log.reopen();
  log.request(report);
  await log.close();
  await rename(`${folder}.moved`, folder);
  t.is(linesOf(await readFile(path, 'utf8')).length, 1);
  t.deepEqual(notices, ['cannot open the access log again: ENOENT; it continues in the old file']);
});

test('a slow disk holds up nobody: further lines are dropped, and the log says how many', async (t) => {
  const chunks: Buffer[] = [];
  let release: () => void = () => undefined;
  const stuck = new Promise<void>((resolve) => {
    release = resolve;
  });
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      void stuck.then(() => done());
    },
  });
  const log = new AccessLog(streamLog(stream), (notice) => t.fail(notice));
  const long = { ...report, path: `/${'x'.repeat(100_000)}` };
  const count = 2 * Math.ceil(MAX_PENDING_LOG_BYTES / 100_000);
  for (let times = 0; times < count; times++) log.request(long);
  release();
  await log.close();
  const lines = linesOf(Buffer.concat(chunks).toString());
  const [dropped] = lines.flatMap((line) => (typeof line['dropped'] === 'number' ? [line['dropped']] : []));
  t.is(lines.length - 1 + Number(dropped), count);
  t.true(Number(dropped) > count / 3);
});

test('a disk that refuses a line is told of once; the log says what is missing', async (t) => {
  const written: string[] = [];
  const notices: string[] = [];
  let isFull = true;
  const target = {
    append: async (text: string) => {
      if (isFull) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      written.push(text);
    },
    reopen: async () => undefined,
    close: async () => undefined,
  };
  const log = new AccessLog(target, (notice) => notices.push(notice));
  log.request(report);
  await log.reopen();
  log.request(report);
  await log.reopen();
  isFull = false;
  log.request(report);
  await log.close();
  const lines = linesOf(written.join(''));
  t.is(lines.length, 2);
  t.is(lines[1]?.['dropped'], 2);
  t.deepEqual(notices, ['cannot write the access log: ENOSPC; lines are lost']);
});
