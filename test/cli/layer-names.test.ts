import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, objectsOf, type Session, startSession } from './session.js';

interface LayerObject {
  readonly chainId: string;
  readonly diffId: string;
}

/** Layers of every image, and the first digits of diff ids that are no chain id: what no text may show. */
async function layersOf({ store }: Session): Promise<{ layers: LayerObject[]; unnamed: string[] }> {
  const reading = await openStore(store, { readOnly: true });
  const layers = [...reading.layers.map().values()].map(({ chainId, diffId }) => ({ chainId, diffId }));
  await reading.close();
  const chains = new Set(layers.map(({ chainId }) => chainId.slice(7, 19)));
  const diffs = layers.map(({ diffId }) => diffId.slice(7, 19)).filter((digits) => !chains.has(digits));
  return { layers, unnamed: [...new Set(diffs)] };
}

test('every text names a layer by its chain id', async (t) => {
  const session = await startSession(t);
  const { folder, run, runIn } = session;
  const texts = [(await run('load', archive('docker25-all.tar'))).stdout];
  const { layers, unnamed } = await layersOf(session);
  t.true(unnamed.length > 1, 'some layers have two ids');
  for (const argv of [
    ['images'],
    ['tree'],
    ['history', 'twice:1'],
    ['log', '--events'],
    ['rm', 'twice:1'],
    ['rm', 'shop/app:1.0'],
    ['log', '--events'],
    ['diff', '0'],
    ['diff', '20', 'now'],
    ['prune'],
    ['prune', '--yes', '--reason', 'old'],
    ['backup', join(folder, 'backup')],
    ['verify'],
    ['stats'],
  ]) {
    for (const columns of [80, 200]) {
      const { code, stdout, stderr } = await runIn({ columns, env: { NO_COLOR: '1' } }, ...argv);
      // What was removed once is not there again.
      if (code === 0) texts.push(stdout, stderr);
    }
  }
  const text = texts.join('\n');
  for (const digits of unnamed) t.false(text.includes(digits), digits);
  // Each layer is in the log, added, and those of removed images are in the difference.
  for (const { chainId } of layers) t.regex(text, new RegExp(`LayerAdded +${chainId.slice(7, 19)} `));
  t.regex(text, /^− [0-9a-f]{12} /m);
});

test('JSON has both ids of a layer', async (t) => {
  const session = await startSession(t);
  const { done } = session;
  await done('load', archive('docker25-all.tar'));
  const { layers } = await layersOf(session);
  const known = (layer: unknown): boolean =>
    layers.some(({ chainId, diffId }) => {
      const given = layer as LayerObject;
      return given.chainId === chainId && given.diffId === diffId;
    });
  const [image] = objectsOf(await done('inspect', '--json', 'twice:1'));
  t.true(((image?.['layers'] ?? []) as unknown[]).every(known));
  const steps = objectsOf(await done('history', '--json', 'twice:1'));
  t.true(steps.some(({ chainId }) => chainId !== null));
  t.true(steps.every((step) => (step['chainId'] === null ? step['diffId'] === null : known(step))));
  t.true(objectsOf(await done('log', '--json', '--type', 'LayerAdded')).every(known));
  const { seq } = objectsOf(await done('log', '--json', '--reverse', '--limit', '1'))[0] as { seq: number };
  const removed = objectsOf(await done('rm', '--json', 'twice:1')).find((object) => 'deleted' in object);
  const chains = removed?.['layers'] as string[];
  const diffs = removed?.['diffIds'] as string[];
  t.true(chains.length > 1);
  t.true(chains.every((chainId, at) => known({ chainId, diffId: diffs[at] })));
  const changed = objectsOf(await done('diff', '--json', String(seq))).filter(({ kind }) => kind === 'layer');
  t.is(changed.length, chains.length);
  t.true(changed.every(({ key, before }) => known(before) && (before as LayerObject).chainId === key));
});
