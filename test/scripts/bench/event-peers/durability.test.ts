import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { peerPackage } from '../../../../scripts/bench/event-peers/peer-package.js';
import { testOrSkip } from '../../../support/requires.js';
import { straceOf, whyNoStrace } from '../../../support/strace.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

const CHILD = fileURLToPath(new URL('./commits.js', import.meta.url));
const COMMITS = 4;

/** Peers by name, each with its package. */
const PEERS: Readonly<Record<string, string | undefined>> = {
  ours: undefined,
  emmett: '@event-driven-io/emmett-sqlite',
  hypercore: 'hypercore',
  sqlite: 'better-sqlite3',
  lmdb: 'lmdb',
};

const noStrace = whyNoStrace();
for (const [peer, name] of Object.entries(PEERS)) {
  const reason = noStrace ?? (name === undefined ? undefined : whyNotUsable(peer, name));
  testOrSkip(reason)(`each commit to ${peer} is synced before it is acknowledged`, (t) => checkSyncs(t, peer));
}

function whyNotUsable(peer: string, name: string): string | undefined {
  try {
    peerPackage(name);
  } catch {
    return `${name} is not installed: \`npm run peers\``;
  }
  // Some load their native part when they are opened: it may be built for another release of Node.
  const directory = mkdtempSync(join(tmpdir(), 'imagelog-test-'));
  const { status } = spawnSync(process.execPath, [CHILD, peer, directory, '0']);
  rmSync(directory, { recursive: true });
  return status === 0 ? undefined : `${name} cannot be opened by Node ${process.version}: \`npm run peers\``;
}

async function checkSyncs(t: ExecutionContext, peer: string): Promise<void> {
  const directory = await temporaryDirectory(t);
  const options = ['-s', '4096', '-e', 'trace=openat,fsync,fdatasync'];
  const trace = straceOf(options, [process.execPath, CHILD, peer, directory, `${COMMITS}`]);
  const [, ...commits] = trace.slice(trace.indexOf('/mark begin')).split('/mark commit').reverse();
  t.is(commits.length, COMMITS);
  // A call that takes long is on two lines, of which the second says that it succeeded.
  for (const commit of commits)
    t.regex(commit, /\b(?:fsync|fdatasync)\(\d+\) += 0|<\.\.\. (?:fsync|fdatasync) resumed>\) += 0/);
}
