import { createHash } from 'node:crypto';
import test from 'ava';
import { digestOf, type DiffId } from '../../src/model/digest.js';
import { newFromJSON } from '../../src/model/image.js';
import { createChainId, newRootFS, TypeLayers } from '../../src/model/rootfs.js';
import { fixtureRows } from '../support/fixtures.js';
import { bytesOf } from '../support/text-bytes.js';

const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOf(bytesOf(text)) as DiffId) as [DiffId, DiffId, DiffId];

function sha256Hex(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

test('the chain of no layers has the empty id', (t) => {
  t.is(createChainId([]), '');
  t.is(newRootFS().chainID(), '');
});

test('the chain of one layer is its diff id, and each further one hashes the id below and the diff id', (t) => {
  t.is<string, string>(createChainId([a]), a);
  t.is<string, string>(createChainId([a, b]), sha256Hex(`${a} ${b}`));
  t.is<string, string>(createChainId([a, b, c]), sha256Hex(`${sha256Hex(`${a} ${b}`)} ${c}`));
});

test('the order of layers counts', (t) => {
  t.not(createChainId([a, b]), createChainId([b, a]));
});

test('the chain ids of the recorded layers come out', (t) => {
  const files = Array.from({ length: 40 }, (_, at) => `store-${String(at + 1).padStart(3, '0')}.jsonl`);
  for (const file of files) {
    const [{ diffIds, layers } = { diffIds: [], layers: [] }] = fixtureRows<{ diffIds: DiffId[]; layers: string[] }>(
      'store',
      file,
    );
    t.true(layers.length > 0);
    t.deepEqual<string[], string[]>(
      layers.map((_, at) => createChainId(diffIds.slice(0, at + 1))),
      layers,
    );
  }
});

test('an appended layer changes the chain id, and a clone goes its own way', (t) => {
  const rootFS = newRootFS();
  t.is(rootFS.type, TypeLayers);
  rootFS.append(a);
  t.is<string, string>(rootFS.chainID(), a);
  const copy = rootFS.clone();
  copy.append(b);
  t.is(copy.chainID(), createChainId([a, b]));
  t.deepEqual(copy.diffIds, [a, b]);
  t.is<string, string>(rootFS.chainID(), a);
  t.deepEqual(rootFS.diffIds, [a]);
});

test("an image's root filesystem refuses to be appended to, its clone does not", (t) => {
  const image = newFromJSON(bytesOf(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [a] } })));
  t.throws(() => image.rootFS.append(b), { instanceOf: TypeError });
  const copy = image.rootFS.clone();
  copy.append(b);
  t.is(copy.chainID(), createChainId([a, b]));
  t.is<string, string>(image.rootFS.chainID(), a);
});
