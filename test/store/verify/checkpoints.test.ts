import { readFile, rm, writeFile } from 'node:fs/promises';
import test from 'ava';
import { formatCheckpoint, parseCheckpoint, signCheckpoint } from '../../../src/log/checkpoint.js';
import { generatePrivateKey, parsePrivateKey } from '../../../src/log/note.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { eventKey } from '../../../src/log/rows.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { briefly, type DamagedStore, flipped, ORIGIN, storeToDamage } from './damaged-store.js';

const store = storeToDamage();

const checkpointOf = async (damaged: DamagedStore): Promise<string> => readFile(damaged.path('checkpoint'), 'utf8');

test('a checkpoint that was kept holds when the log has grown', async (t) => {
  const damaged = await store(t);
  const against = await checkpointOf(damaged);
  const grown = await openStore(damaged.directory);
  await grown.create(imageConfig('later'));
  t.deepEqual(await grown.verify({ against }), []);
  await grown.close();
  t.deepEqual(await damaged.verify({ against: [against, await checkpointOf(damaged)], fast: true }), []);
});

test('a log that lost its end is shorter than its checkpoint says', async (t) => {
  const damaged = await store(t);
  await rm(damaged.path('snapshots'), { recursive: true });
  const { size } = parseCheckpoint(await checkpointOf(damaged));
  await damaged.rows((rows) => rows.del(eventKey(size)));
  const violations = await damaged.verify({ fast: true });
  t.deepEqual(
    violations.map(({ code, expected, found }) => ({ code, expected, found })),
    [{ code: 'CHECKPOINT_AHEAD', expected: size, found: size - 1 }],
  );
});

test('a log that was rewritten is not the one of a checkpoint that was kept', async (t) => {
  const damaged = await store(t);
  const against = await checkpointOf(damaged);
  await damaged.forge((event) => (event.seq === 629 ? { ...event, reason: 'another' } : undefined));
  t.deepEqual(briefly(await damaged.verify()), []);
  t.deepEqual(briefly(await damaged.verify({ against })), ['CHECKPOINT_FORKED checkpoint given 1']);
  await writeFile(damaged.path('checkpoint'), against);
  t.deepEqual(briefly(await damaged.verify({ fast: true })), ['CHECKPOINT_FORKED checkpoint']);
});

test('a checkpoint of the empty log holds, and one with another root does not', async (t) => {
  const damaged = await store(t);
  const empty = formatCheckpoint({ origin: ORIGIN, size: 0, root: new Uint8Array(32), extensions: [] });
  t.deepEqual(briefly(await damaged.verify({ against: empty, fast: true })), ['CHECKPOINT_FORKED checkpoint given 1']);
});

test('a malformed checkpoint file, or one of another log, is reported', async (t) => {
  const damaged = await store(t);
  const text = await checkpointOf(damaged);
  await writeFile(damaged.path('checkpoint'), text.slice(0, -2));
  t.deepEqual(briefly(await damaged.verify({ fast: true })), ['CHECKPOINT_DAMAGED checkpoint']);
  await writeFile(damaged.path('checkpoint'), text.replace(ORIGIN, 'example.com/other'));
  t.deepEqual(briefly(await damaged.verify({ fast: true })), ['CHECKPOINT_FOREIGN checkpoint']);
  await writeFile(damaged.path('checkpoint'), flipped(Buffer.from(text), -10));
  t.true((await damaged.verify({ fast: true })).length === 1);
  await rm(damaged.path('checkpoint'));
  t.deepEqual(await damaged.verify(), []);
});

test('a key that is given must have signed the checkpoint', async (t) => {
  const damaged = await store(t);
  const checkpoint = parseCheckpoint(await checkpointOf(damaged));
  const [signer, other] = await Promise.all(
    [ORIGIN, ORIGIN].map(async (name) => parsePrivateKey(await generatePrivateKey(name))),
  );
  if (signer === undefined || other === undefined) throw new Error('there are two keys');
  const key = signer.verifierKey;
  t.deepEqual(briefly(await damaged.verify({ key, fast: true })), ['SIGNATURE_WRONG checkpoint']);
  const signed = await signCheckpoint(checkpoint, signer);
  await writeFile(damaged.path('checkpoint'), signed);
  t.deepEqual(await damaged.verify({ key, against: signed, fast: true }), []);
  await writeFile(damaged.path('checkpoint'), await signCheckpoint(checkpoint, other));
  t.deepEqual(briefly(await damaged.verify({ key, fast: true })), ['SIGNATURE_WRONG checkpoint']);
});

test('what a caller gives and is not a checkpoint of this log is refused by name', async (t) => {
  const damaged = await store(t);
  const text = await checkpointOf(damaged);
  const signer = await parsePrivateKey(await generatePrivateKey(ORIGIN));
  await rejection(t, 'CHECKPOINT_INVALID', damaged.verify({ against: 'three\nshort\nlines\n' }));
  await rejection(t, 'CHECKPOINT_FOREIGN', damaged.verify({ against: text.replace(ORIGIN, 'example.com/other') }));
  await rejection(t, 'SIGNATURE_INVALID', damaged.verify({ against: text, key: signer.verifierKey }));
  await rejection(t, 'KEY_INVALID', damaged.verify({ key: 'no key' }));
});
