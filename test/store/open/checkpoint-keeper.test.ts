import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { StoreError } from '../../../src/errors.js';
import { formatCheckpoint, parseCheckpoint, signCheckpoint, verifyCheckpoint } from '../../../src/log/checkpoint.js';
import { generatePrivateKey, parsePrivateKey, parseVerifierKey } from '../../../src/log/note.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { OpenOptions } from '../../../src/store/store.js';
import { type CheckpointSigner, createKeyFile, readSigner } from '../../../src/store/keys.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { flippedBits } from '../../log/flipped-bits.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const ORIGIN = 'example.com/images';

interface Place {
  readonly directory: string;
  readonly checkpoint: string;
  readonly key: string;
  readonly signer: CheckpointSigner;
}

const openAt = ({ directory }: Place, options: OpenOptions = {}): Promise<EventStore> =>
  openStore(directory, { actor: 'tester', origin: ORIGIN, ...options });

/** A closed store of so many events, and a key for it that has signed nothing. */
async function storeOf(t: ExecutionContext, events: number): Promise<Place> {
  const folder = await temporaryDirectory(t);
  const [directory, key] = [join(folder, 'store'), join(folder, 'log.key')];
  await createKeyFile(key, ORIGIN);
  const place = { directory, key, checkpoint: join(directory, 'checkpoint'), signer: await readSigner(key) };
  await grow(place, 'first', events);
  return place;
}

async function grow(place: Place, name: string, events: number, options: OpenOptions = {}): Promise<void> {
  await using store = await openAt(place, options);
  for (let at = 0; at < events; at++) await store.create(imageConfig(`${name} ${at}`));
}

const textOf = (place: Place): Promise<string> => readFile(place.checkpoint, 'utf8');

test('closing leaves a checkpoint of the head, without a signature when there is no key', async (t) => {
  const place = await storeOf(t, 3);
  const text = await textOf(place);
  await using store = await openAt(place, { readOnly: true });
  t.like(parseCheckpoint(text), { origin: ORIGIN, size: 3, root: store.log.head.root, signatures: [] });
  t.is(await store.checkpoint(), text);
});

test('an open that finds events after the checkpoint writes one of the head', async (t) => {
  const place = await storeOf(t, 2);
  const older = await textOf(place);
  await grow(place, 'second', 3);
  // As after a crash: what came since was durable, and no checkpoint of it.
  await writeFile(place.checkpoint, older);
  await using store = await openAt(place);
  t.like(parseCheckpoint(await textOf(place)), { size: 5, root: store.log.head.root });
});

test('a store without events has a checkpoint when it is asked for one', async (t) => {
  const place = await storeOf(t, 0);
  t.false((await readdir(place.directory)).includes('checkpoint'));
  await using store = await openAt(place);
  const text = await store.checkpoint();
  t.is(parseCheckpoint(text).size, 0);
  t.is(await textOf(place), text);
});

test('the checkpoint that is asked for is of the head, signed, and in the file before it is given', async (t) => {
  const place = await storeOf(t, 2);
  const verifier = await parseVerifierKey(place.signer.verifierKey);
  await using store = await openAt(place, { signer: place.signer });
  for (let at = 0; at < 3; at++) {
    await store.create(imageConfig(`more ${at}`));
    const text = await store.checkpoint();
    t.is(await textOf(place), text);
    const checkpoint = parseCheckpoint(text);
    t.like(checkpoint, { size: store.log.head.seq, root: store.log.head.root });
    await t.notThrowsAsync(verifyCheckpoint(checkpoint, verifier));
    t.is(await store.checkpoint(), text, 'and is the same while nothing happens');
  }
});

test('checkpoints that are asked for at once come in order', async (t) => {
  const place = await storeOf(t, 1);
  await using store = await openAt(place, { signer: place.signer });
  const texts = await Promise.all(
    Array.from({ length: 8 }, async (_, at) => {
      await store.create(imageConfig(`at once ${at}`));
      return store.checkpoint();
    }),
  );
  const sizes = texts.map((text) => parseCheckpoint(text).size);
  t.is(parseCheckpoint(await textOf(place)).size, Math.max(...sizes));
});

test('opening with a key signs what was not signed, at the next occasion', async (t) => {
  const place = await storeOf(t, 2);
  await (await openAt(place, { signer: place.signer })).close();
  t.is(parseCheckpoint(await textOf(place)).signatures.length, 1);
  await using store = await openAt(place, { readOnly: true });
  t.is(parseCheckpoint(await store.checkpoint()).signatures.length, 1, 'a reader gives the file');
});

test('a reader gives a checkpoint of the head, and leaves the file as it is', async (t) => {
  const place = await storeOf(t, 2);
  await rm(place.checkpoint);
  await using store = await openAt(place, { readOnly: true, signer: place.signer });
  t.like(parseCheckpoint(await store.checkpoint()), { size: 2, signatures: [] });
  t.deepEqual((await readdir(place.directory)).includes('checkpoint'), false);
});

test('a new store takes its name from its key', async (t) => {
  const place = await storeOf(t, 1);
  const directory = join(await temporaryDirectory(t), 'other');
  await (await openStore(directory, { signer: place.signer })).close();
  t.regex(await readFile(join(directory, 'imagelog.json'), 'utf8'), /"origin": "example\.com\/images"/);
});

test('a key of another log is refused before anything is made', async (t) => {
  const place = await storeOf(t, 1);
  await createKeyFile(`${place.key}2`, 'example.com/other');
  const signer = await readSigner(`${place.key}2`);
  const error = await rejection(t, 'KEY_FOREIGN', openAt(place, { signer }));
  t.deepEqual(error.data, { name: 'example.com/other', origin: ORIGIN });
  await rejection(t, 'KEY_FOREIGN', openStore(place.directory, { signer }));
  const directory = join(await temporaryDirectory(t), 'other');
  await rejection(t, 'KEY_FOREIGN', openStore(directory, { origin: ORIGIN, signer }));
  await t.throwsAsync(readdir(directory), { code: 'ENOENT' });
});

for (const origin of ['a b', 'a+b', 'x'.repeat(256)]) {
  test(`${origin.slice(0, 5)} is not an origin`, async (t) => {
    const directory = join(await temporaryDirectory(t), 'store');
    await rejection(t, 'ORIGIN_INVALID', openStore(directory, { origin }));
    await t.throwsAsync(readdir(directory), { code: 'ENOENT' });
  });
}

test('a signer of another type is refused', async (t) => {
  const place = await storeOf(t, 0);
  for (const signer of [null, 'key', {}, { origin: ORIGIN, verifierKey: 'x' }]) {
    await t.throwsAsync(openAt(place, { signer: signer as never }), { instanceOf: TypeError });
  }
});

test('a log that is shorter than its checkpoint is refused, and what is lost is reported', async (t) => {
  const place = await storeOf(t, 2);
  await cp(place.directory, `${place.directory}-before`, { recursive: true });
  await grow(place, 'later', 3);
  await cp(place.checkpoint, join(`${place.directory}-before`, 'checkpoint'));
  const before = { ...place, directory: `${place.directory}-before`, checkpoint: '' };
  for (const options of [{}, { readOnly: true }, { signer: place.signer }]) {
    const error = await rejection(t, 'LOG_CORRUPT', openAt(before, options));
    t.like(error.data, { seq: 5, head: 2, lost: { from: 3, to: 5 } });
    t.regex(error.message, /its end was lost, events 3 to 5\. Restore a backup or rebuild the store/);
  }
  await rm(join(before.directory, 'checkpoint'));
  await t.notThrowsAsync(async () => (await openAt(before)).close(), 'the loss may be accepted');
});

test('a log of other events than those of its checkpoint is refused', async (t) => {
  const place = await storeOf(t, 3);
  const checkpoint = parseCheckpoint(await textOf(place));
  checkpoint.root[7] = (checkpoint.root[7] as number) ^ 1;
  await writeFile(place.checkpoint, formatCheckpoint(checkpoint));
  const error = await rejection(t, 'LOG_CORRUPT', openAt(place));
  t.regex(error.message, /the events up to 3 are not those of its checkpoint/);
});

test('an older checkpoint of the same log is not damage', async (t) => {
  const place = await storeOf(t, 300);
  const old = await textOf(place);
  await grow(place, 'later', 20);
  await writeFile(place.checkpoint, old);
  await (await openAt(place)).close();
  t.is(parseCheckpoint(await textOf(place)).size, 320);
});

test('a checkpoint of another log is refused by name', async (t) => {
  const place = await storeOf(t, 1);
  await writeFile(place.checkpoint, formatCheckpoint({ ...parseCheckpoint(await textOf(place)), origin: 'other' }));
  const error = await rejection(t, 'CHECKPOINT_FOREIGN', openAt(place));
  t.deepEqual(error.data, { origin: 'other', expected: ORIGIN });
});

for (const [what, content] of [
  ['nothing', ''],
  ['half a checkpoint', `${ORIGIN}\n1\nabc`],
  ['zeros', '\0'.repeat(100)],
  ['too much', 'x'.repeat(1_000_001)],
] as const) {
  test(`a checkpoint file of ${what} is reported, and may be removed`, async (t) => {
    const place = await storeOf(t, 1);
    await writeFile(place.checkpoint, content);
    const error = await rejection(t, 'CHECKPOINT_INVALID', openAt(place));
    t.is(error.data['path'], place.checkpoint);
    t.is(await textOf(place), content, 'it is left as it is');
    await rm(place.checkpoint);
    await (await openAt(place)).close();
    t.is(parseCheckpoint(await textOf(place)).size, 1);
  });
}

test('with the key, a signature by it that is forged is refused; one by another key is skipped', async (t) => {
  const place = await storeOf(t, 2);
  await (await openAt(place, { signer: place.signer })).close();
  const text = await textOf(place);
  // A letter in the middle of the signature: those at its end are often the same.
  const forged = text.replace(/(.)(.{20})\n$/, (_, letter, rest) => `${letter === 'A' ? 'B' : 'A'}${rest}\n`);
  await writeFile(place.checkpoint, forged);
  await rejection(t, 'SIGNATURE_INVALID', openAt(place, { signer: place.signer }));
  const other = await parsePrivateKey(await generatePrivateKey(ORIGIN));
  await writeFile(place.checkpoint, await signCheckpoint(parseCheckpoint(text), other));
  await (await openAt(place, { signer: place.signer })).close();
  t.is(await textOf(place), text, 'and the file is signed again');
});

test('any bit of the checkpoint file flipped is refused or leaves what it says as it was', async (t) => {
  const place = await storeOf(t, 1);
  await (await openAt(place, { signer: place.signer })).close();
  const bytes = await readFile(place.checkpoint);
  const whole = parseCheckpoint(bytes);
  let at = 0;
  for (const changed of flippedBits(bytes)) {
    // Each bit of a few bytes, and one of each other byte: an open takes some milliseconds.
    if (at++ % 11 !== 0) continue;
    await writeFile(place.checkpoint, changed);
    try {
      await (await openAt(place, { readOnly: true, signer: place.signer })).close();
      const { origin, size, root } = parseCheckpoint(changed);
      t.deepEqual({ origin, size, root }, { origin: whole.origin, size: whole.size, root: whole.root });
    } catch (error) {
      t.true(error instanceof StoreError, String(error));
      t.regex((error as StoreError).code, /^(?:CHECKPOINT_(?:INVALID|FOREIGN)|SIGNATURE_INVALID|LOG_CORRUPT)$/);
    }
  }
});

test('a copy of a store that lost its end is not opened with the key that signed more', async (t) => {
  const place = await storeOf(t, 2);
  const copy = { ...place, directory: `${place.directory}-copy` };
  await cp(place.directory, copy.directory, { recursive: true });
  await grow(place, 'later', 2, { signer: place.signer });
  const error = await rejection(t, 'CHECKPOINT_FORKED', openAt(copy, { signer: place.signer }));
  t.is(error.data['size'], 4);
  await (await openAt(copy)).close();
});

test('of a store and its copy that both continue with one key, one is signed', async (t) => {
  const place = await storeOf(t, 2);
  const copy = {
    ...place,
    directory: `${place.directory}-copy`,
    checkpoint: join(`${place.directory}-copy`, 'checkpoint'),
  };
  await cp(place.directory, copy.directory, { recursive: true });
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  const [one, two] = [
    await openAt(place, { signer: place.signer, onNotice }),
    await openAt(copy, { signer: await readSigner(place.key), onNotice }),
  ];
  await one.create(imageConfig('one'));
  await two.create(imageConfig('two'));
  await one.checkpoint();
  await rejection(t, 'CHECKPOINT_FORKED', two.checkpoint());
  await rejection(t, 'CHECKPOINT_FORKED', two.prove(1));
  await one.close();
  await two.close();
  t.deepEqual(
    notices.map((notice) => notice.replace(/: .*/, '')),
    ['the checkpoint of the log was not written'],
  );
  t.is(parseCheckpoint(await textOf(copy)).size, 2, 'the file of the other is as it was');
});
