import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { conformanceCases, describeResult, runCases } from './conformance/conformance-cases.js';
import { RegistryClient } from './conformance/registry-client.js';
import { type ServedStore, serveStore } from './start-registry.js';

/** One registry for all groups, as the official program has: what one leaves behind, the next one meets. */
let served: ServedStore;
let client: RegistryClient;
let directory: string;

test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'imagelog-test-'));
  served = await serveStore(await openStore(join(directory, 'store'), { actor: 'tester', onNotice: () => undefined }));
  client = new RegistryClient(served.base);
});

test.after.always(async () => {
  client[Symbol.dispose]();
  await served.stop();
  await served.store.close();
  await rm(directory, { recursive: true, force: true });
});

const cases = conformanceCases({ repository: 'conformance/one', other: 'conformance/two', sha512: 'accepted' });

for (const group of new Set(cases.map((one) => one.group))) {
  const own = cases.filter((one) => one.group === group);
  test.serial(`the registry conforms: ${group}, ${own.length} cases`, async (t) => {
    const failedBefore = served.failures.length;
    const results = await runCases(client, own);
    const others = results.filter(({ outcome }) => outcome !== 'passed');
    t.deepEqual(others.map(describeResult), []);
    t.deepEqual(served.failures.slice(failedBefore), []);
  });
}

test.serial('after all conformance cases, the store verifies', async (t) => {
  t.deepEqual(await served.store.verify(), []);
});
