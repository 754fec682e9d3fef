import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import {
  formatCheckpoint,
  formatProof,
  parseCheckpoint,
  parseProof,
  signCheckpoint,
} from '../../../src/log/checkpoint.js';
import { formatEntries, parseEntries, parseTilePath, tilePath, tilesOfTree } from '../../../src/log/merkle.js';
import { formatNote, generatePrivateKey, parseNote, parsePrivateKey, parseVerifierKey } from '../../../src/log/note.js';
import { fixturePath } from '../../support/fixtures.js';
import { bytesOf } from '../../support/text-bytes.js';
import { allowedFailure } from './allowed-failure.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

const root = new Uint8Array(32).fill(7);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

test('a checkpoint and a note are those whose text is written the same, or refused', async (t) => {
  const signer = await parsePrivateKey(await generatePrivateKey('example.com/log'));
  const checkpoint = { origin: 'example.com/log', size: 12_345, root, extensions: ['more'] };
  const texts = [
    readFileSync(fixturePath('merkle', 'tessera-log', 'checkpoint')),
    bytesOf(await signCheckpoint(checkpoint, signer)),
    bytesOf(formatCheckpoint(checkpoint)),
  ];
  await fuzz(
    t,
    mutated(fc.constantFrom(...texts)),
    async (bytes) => {
      const parsed = await allowedFailure(() => parseCheckpoint(bytes), ['CHECKPOINT_INVALID']);
      if (parsed !== undefined) t.true(textOf(bytes).startsWith(formatCheckpoint(parsed)));
      const note = await allowedFailure(() => parseNote(bytes), ['CHECKPOINT_INVALID', 'SIGNATURE_INVALID']);
      if (note !== undefined) t.is(formatNote(note), textOf(bytes));
    },
    2_000,
  );
});

test('a key is a key, or refused', async (t) => {
  const key = await generatePrivateKey('example.com/log');
  const { verifierKey } = await parsePrivateKey(key);
  await fuzz(t, mutated(fc.constantFrom(bytesOf(key), bytesOf(verifierKey))), async (bytes) => {
    const codes = ['KEY_INVALID', 'ORIGIN_INVALID'] as const;
    await allowedFailure(() => parsePrivateKey(textOf(bytes)), codes);
    const verifier = await allowedFailure(() => parseVerifierKey(textOf(bytes)), codes);
    if (verifier !== undefined) t.is(typeof verifier.name, 'string');
  });
});

test('a proof is one that is written the same, or refused', async (t) => {
  const checkpoint = formatCheckpoint({ origin: 'example.com/log', size: 3, root, extensions: [] });
  const proof = formatProof({ index: 1, hashes: [root, root], checkpoint, extra: bytesOf('record') });
  await fuzz(t, mutated(fc.constant(bytesOf(proof))), async (bytes) => {
    const parsed = await allowedFailure(() => parseProof(bytes), ['PROOF_INVALID', 'CHECKPOINT_INVALID']);
    if (parsed === undefined) return;
    const text = textOf(bytes);
    t.is(formatProof({ ...parsed, checkpoint: text.slice(text.indexOf('\n\n') + 2) }), text);
  });
});

test('the path of a tile is that of one tile, or of none', async (t) => {
  const paths = [...tilesOfTree(70_000)].map((tile) => bytesOf(tilePath(tile)));
  await fuzz(
    t,
    mutated(fc.constantFrom(...paths)),
    (bytes) => {
      const parsed = parseTilePath(textOf(bytes));
      t.true(parsed === undefined || typeof parsed === 'object');
    },
    2_000,
  );
});

test('a bundle of entries is one that is written the same, or refused', async (t) => {
  const bundles = fc
    .array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 5 })
    .map(formatEntries);
  await fuzz(t, mutated(bundles), async (bytes) => {
    const entries = await allowedFailure(() => parseEntries(bytes), ['LOG_CORRUPT', 'BACKUP_INVALID']);
    if (entries !== undefined) t.deepEqual(Uint8Array.from(formatEntries(entries)), Uint8Array.from(bytes));
  });
});
