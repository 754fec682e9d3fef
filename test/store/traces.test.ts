import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newFSStoreBackend, newImageStore } from '../../src/store/docker-backend.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { Store } from '../../src/store/store.js';
import { CountingLayers } from '../support/counting-layers.js';
import { copyImages, filesBelow } from '../support/filesystem-copy.js';
import { fixturePath, fixtureRows } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { checkStep, type TraceHeader, type TraceStep, type TraceSubject } from '../support/trace.js';

const OPTIONS = { os: 'linux' };

type OpenSubject = (t: ExecutionContext, header: TraceHeader) => Promise<TraceSubject>;

async function overEventLog(t: ExecutionContext, header: TraceHeader): Promise<TraceSubject> {
  const directory = await temporaryDirectory(t);
  const open = (): Promise<EventStore> =>
    openStore(join(directory, 'store'), { ...OPTIONS, layers: new CountingLayers(header.layers) });
  let store = await open();
  t.teardown(() => store.close());
  return {
    get store() {
      return store;
    },
    async reopen() {
      await store.close();
      store = await open();
    },
    async files() {
      const root = join(directory, 'copy');
      await copyImages(store, await newFSStoreBackend(root));
      return filesBelow(root);
    },
  };
}

async function overFilesystem(t: ExecutionContext, header: TraceHeader): Promise<TraceSubject> {
  const root = await temporaryDirectory(t);
  const open = async (): Promise<Store> =>
    newImageStore(await newFSStoreBackend(root), new CountingLayers(header.layers), OPTIONS);
  let store = await open();
  return {
    get store() {
      return store;
    },
    async reopen() {
      store = await open();
    },
    files: () => filesBelow(root),
  };
}

const answersAsRecorded = test.macro({
  async exec(t, file: string, openSubject: OpenSubject) {
    const [header, ...steps] = fixtureRows<TraceHeader | TraceStep>('store', file) as [TraceHeader, ...TraceStep[]];
    const subject = await openSubject(t, header);
    t.true(steps.length > 100, 'the trace is whole');
    // The header is line 1.
    for (const [index, step] of steps.entries()) await checkStep(t, subject, step, index + 2);
  },
  title: (given = '', file) => `${given} answers ${file} as Docker's store did`,
});

const traces = readdirSync(fixturePath('store')).filter((name) => name.endsWith('.jsonl'));

test('all forty traces are there', (t) => {
  t.is(traces.length, 40);
});

for (const file of traces) {
  test('the event store', answersAsRecorded, file, overEventLog);
  test('the store over a filesystem', answersAsRecorded, file, overFilesystem);
}
