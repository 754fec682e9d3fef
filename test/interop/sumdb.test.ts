import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { servedLog, signedStore, writeEvents } from '../server/evidence/served-log.js';
import { projectRoot } from '../support/fixtures.js';
import { testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/* Go's own golang.org/x/mod/sumdb, of the copy that the go command is built from: no download. */

const run = promisify(execFile);
const SUMDB = 'src/cmd/vendor/golang.org/x/mod/sumdb/tlog';

/** The folder of an installed Go that has its own sources; distributions do not put each on the PATH. */
function goRoot(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, '..'));
  const versions = existsSync('/usr/lib') ? readdirSync('/usr/lib').filter((name) => name.startsWith('go-')) : [];
  const roots = [process.env.GOROOT ?? '', '/usr/local/go', ...versions.map((name) => `/usr/lib/${name}`), ...onPath];
  return roots.find((root) => existsSync(join(root, 'bin/go')) && existsSync(join(root, SUMDB)));
}

const root = goRoot();
const withGo = testOrSkip(root === undefined ? 'go with its sources not installed' : undefined);

/** Builds the client; returns its path. */
async function builtClient(t: ExecutionContext): Promise<string> {
  const path = await temporaryDirectory(t);
  const client = join(path, 'client');
  // Without modules, so that the packages are looked up in this folder and nowhere else.
  await mkdir(join(path, 'src'));
  await symlink(join(root ?? '', 'src/cmd/vendor/golang.org'), join(path, 'src/golang.org'));
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: path, GOCACHE: join(path, 'cache'), GOFLAGS: '' };
  const source = join(projectRoot, 'test/interop/sumdb/main.go');
  await run(join(root ?? '', 'bin/go'), ['build', '-o', client, source], { env });
  return client;
}

withGo('sumdb of Go verifies the served log: signature, every entry, and that it only grew', async (t) => {
  t.timeout(180_000);
  const client = await builtClient(t);
  const store = await signedStore(t, 5);
  const log = await servedLog(t, store);
  const saved = join(await temporaryDirectory(t), 'checkpoint');
  for (const [earlier, size] of [
    [0, 5],
    [5, 256],
    [256, 257],
    [257, 600],
    [600, 600],
  ] as const) {
    await writeEvents(store, size - store.log.head.seq);
    const { stdout } = await run(client, earlier === 0 ? [log] : [log, saved]);
    t.is(stdout, `${size} entries, after ${earlier}\n`);
    await writeFile(saved, await (await fetch(`${log}/checkpoint`)).text());
  }
  for (const path of ['tile/0/001', 'tile/entries/001', 'checkpoint']) {
    const forged = await forgingProxy(t, log, path);
    await t.throwsAsync(
      run(client, [forged, saved]),
      { message: /inconsistent|incorrect|invalid|verif|mismatch/i },
      path,
    );
  }
});

/** Serves what `log` has, but for one bit of one path. */
async function forgingProxy(t: ExecutionContext, log: string, forged: string): Promise<string> {
  const proxy: Server = createServer((incoming, outgoing) => {
    void fetch(`${log}${incoming.url}`).then(async (response) => {
      const bytes = Buffer.from(await response.arrayBuffer());
      if (incoming.url === `/${forged}`) bytes[30] = (bytes[30] ?? 0) ^ 1;
      outgoing.writeHead(response.status).end(bytes);
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  t.teardown(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}
