import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { equalBytes } from '../../../src/model/bytes.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { RegistryStore } from '../../../src/store/registry-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { wrongFiles } from '../../store/temporary-store.js';
import { startChild } from '../child.js';
import type { CrashRun } from './crash-run.js';
import { type BegunPush, PushingClient, PushRecord, REPOSITORY } from './pushing-client.js';
import type { SeededRandom } from './seeded-random.js';

const SHARE = 0.075;
const LEAST_ROUNDS = 10;
const LANES = 4;
const ANSWERS_AT_MOST = 50;
const CHILD = new URL('./children/serve-pushes.js', import.meta.url);

/**
 * A server that takes pushes is killed at any moment. Afterwards each push that was acknowledged is there whole, with its
 * tags, each other one whole or not at all, blobs that were acknowledged wait for their manifest, and no other file is there.
 */
export async function killPushes(run: CrashRun): Promise<void> {
  const { random, figures } = run;
  const { directory } = run.newStore();
  const record = new PushRecord();
  // A log without any event may have lost them: an open leaves its blobs alone.
  {
    await using store = await openStore(directory);
    await store.create(imageConfig('first'));
  }
  const rounds = run.rounds(SHARE, LEAST_ROUNDS);
  for (let round = 0; round < rounds; round++) {
    const wrong = await serveAndKill(directory, round, record, random);
    figures.rounds += 1;
    figures.faults += 1;
    run.note(`round ${round}`, [...wrong, ...(await wrongPushes(directory, record))]);
  }
  figures.acknowledged = record.acknowledged.size + record.uploaded.size;
  run.log(`${record.begun.length} manifests sent, ${record.acknowledged.size} acknowledged`);
}

async function serveAndKill(
  directory: string,
  round: number,
  record: PushRecord,
  random: SeededRandom,
): Promise<string[]> {
  let left = random.below(ANSWERS_AT_MOST);
  const delayMs = random.below(8);
  const running: Promise<void>[] = [];
  const answered = (): void => {
    if (left-- === 0) setTimeout(() => child.process.kill('SIGKILL'), delayMs);
  };
  const child = startChild<number>(CHILD, [directory], (port) => {
    const client = new PushingClient(port, record, answered);
    for (let lane = 0; lane < LANES; lane++) running.push(client.run(round, lane));
  });
  const ended = await child.ended;
  const outcomes = await Promise.allSettled(running);
  const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
  return ended === 'SIGKILL' ? refused : [`the server ended by itself with ${ended}`, ...refused];
}

async function wrongPushes(directory: string, record: PushRecord): Promise<string[]> {
  const wrong: string[] = [];
  const onNotice = (notice: string): void => void wrong.push(notice);
  const store = await openStore(directory, { actor: 'checker', onNotice });
  try {
    for (const push of record.begun) wrong.push(...wrongPush(store.registry, push, record.acknowledged.has(push)));
    wrong.push(...wrongTags(store.registry, record), ...(await wrongBlobs(store, record)));
  } finally {
    await store.close();
  }
  const violations = await verifyStore(directory);
  wrong.push(...violations.map(({ code, place, message }) => `${code} ${place}: ${message}`));
  return [...wrong, ...(await wrongFiles(directory)), ...strays(directory, record)];
}

/** A manifest is there with its tag and its blobs; one that was not acknowledged may be missing, with its tag. */
function wrongPush(registry: RegistryStore, { pushed, tag }: BegunPush, isAcknowledged: boolean): string[] {
  const found = registry.manifest(REPOSITORY, pushed.digest);
  const tagged = registry.manifest(REPOSITORY, tag);
  if (found === undefined && tagged === undefined)
    return isAcknowledged ? [`${tag} was acknowledged, and is gone`] : [];
  if (found === undefined || tagged === undefined) return [`${tag} is there in part`];
  const wrong = [found, tagged].every(({ bytes }) => equalBytes(bytes, pushed.bytes)) ? [] : [`${tag} has other bytes`];
  const { config, layers = [] } = JSON.parse(new TextDecoder().decode(pushed.bytes)) as Document;
  for (const { digest, size } of [...(config === undefined ? [] : [config]), ...layers]) {
    if (registry.blob(REPOSITORY, digest as never)?.size !== size) wrong.push(`${tag} lacks ${digest}`);
  }
  return wrong;
}

interface Document {
  readonly config?: { readonly digest: string; readonly size: number };
  readonly layers?: readonly { readonly digest: string; readonly size: number }[];
}

/** A tag that moves is at what was last acknowledged, or at what was sent since; no other tag is there. */
function wrongTags(registry: RegistryStore, { begun, acknowledged }: PushRecord): string[] {
  const allowed = new Map<string, Set<string>>();
  for (const push of begun) {
    const { moving, tag, pushed } = push;
    const before = acknowledged.has(push) ? [] : (allowed.get(moving) ?? [NONE]);
    allowed.set(moving, new Set([...before, pushed.digest]));
    allowed.set(tag, new Set([...(acknowledged.has(push) ? [] : [NONE]), pushed.digest]));
  }
  const tags = new Set([...(registry.tags(REPOSITORY) ?? []), ...allowed.keys()]);
  return [...tags].flatMap((tag) => {
    const digest = registry.manifest(REPOSITORY, tag)?.descriptor.digest ?? NONE;
    return allowed.get(tag)?.has(digest) === true ? [] : [`the tag ${tag} is at ${digest}`];
  });
}

const NONE = 'nothing';

/** Blobs that were acknowledged are of a manifest, or wait for one. */
async function wrongBlobs({ registry }: EventStore, { uploaded }: PushRecord): Promise<string[]> {
  const wrong: string[] = [];
  // Those of earlier rounds were read then.
  const recent = [...uploaded].slice(-2 * ANSWERS_AT_MOST);
  for (const [digest, bytes] of uploaded) {
    const blob = registry.blob(REPOSITORY, digest);
    if (blob?.size !== bytes.length) wrong.push(`the upload ${digest} was acknowledged, and is gone`);
  }
  for (const [digest, bytes] of recent) {
    const blob = registry.blob(REPOSITORY, digest);
    if (blob === undefined || !equalBytes(await buffer(blob.read()), bytes)) wrong.push(`${digest} has other bytes`);
  }
  return wrong;
}

/** Files of uploads that nobody began, or that none can continue. */
function strays(directory: string, { known }: PushRecord): string[] {
  const folder = join(directory, 'uploads', 'staged');
  const names = new Set([...known].map((digest) => digest.slice('sha256:'.length)));
  const found = existsSync(folder) ? readdirSync(folder) : [];
  const files = new Set(found);
  return found
    .filter((name) => !names.has(name.replace(/\.json$/, '')) || !files.has(`${name.replace(/\.json$/, '')}.json`))
    .map((name) => `${name} of the staged blobs belongs to nothing`);
}
