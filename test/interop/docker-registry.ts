import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { temporaryDirectory } from '../support/temporary-directory.js';

const START_MS = 10_000;
const POLL_MS = 50;

/**
 * Starts an empty docker-registry on a loopback port until the test ends; returns its host and port.
 * It deletes. `more` is added to its configuration.
 */
export async function startDockerRegistry(
  t: ExecutionContext,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const folder = await temporaryDirectory(t);
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'config.json');
  await writeFile(
    config,
    // JSON is YAML.
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
      http: { addr: host },
      ...more,
    }),
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  t.teardown(() => stop(child));
  await answers(child, `http://${host}/v2/`);
  return host;
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(POLL_MS)) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`);
    // One with passwords refuses, which is an answer.
    if ((await fetch(url).catch(() => undefined)) !== undefined) return;
  }
  throw new Error(`docker-registry does not answer at ${url} after ${START_MS} ms`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** A port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
