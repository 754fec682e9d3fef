import { createPublicKey, verify } from 'node:crypto';
import test from 'ava';
import { base64ToBytes, generatePrivateKey, parsePrivateKey, parseVerifierKey } from '../../src/log/note.js';
import { rejection } from '../support/rejection.js';
import { bytesOf } from '../support/text-bytes.js';

// The pair of the tests of Go's sumdb/note.
const PRIVATE = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const VERIFIER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';

test("Go's private key gives Go's verifier key", async (t) => {
  const signer = await parsePrivateKey(PRIVATE);
  t.like(signer, { name: 'PeterNeumann', keyId: 0xc74f20a3, verifierKey: VERIFIER });
  t.like(await parseVerifierKey(VERIFIER), { name: 'PeterNeumann', keyId: 0xc74f20a3, verifierKey: VERIFIER });
});

test('a new key signs what its verifier key verifies, here and by another implementation', async (t) => {
  const signer = await parsePrivateKey(await generatePrivateKey('example.com/log'));
  const verifier = await parseVerifierKey(signer.verifierKey);
  const message = bytesOf('hi');
  const signature = await signer.sign(message);
  t.true(await verifier.verify(message, signature));
  t.false(await verifier.verify(bytesOf('ho'), signature));
  t.false(await verifier.verify(message, signature.slice(1)));
  const publicKey = base64ToBytes(signer.verifierKey.split('+').slice(2).join('+'))?.slice(1) as Uint8Array;
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
  });
  t.true(verify(null, message, key, signature));
});

test('two new keys are two keys', async (t) => {
  t.not(await generatePrivateKey('a'), await generatePrivateKey('a'));
});

test('a key is made for a name that can be one', async (t) => {
  await rejection(t, 'ORIGIN_INVALID', generatePrivateKey('a b'));
});

for (const [what, text, parse] of [
  ['private', PRIVATE, parsePrivateKey],
  ['verifier', VERIFIER, parseVerifierKey],
] as const) {
  test(`no part of a ${what} key is one`, async (t) => {
    for (let from = 0; from < text.length; from++) {
      for (let to = from + 1; to <= text.length; to++) {
        if (to - from < text.length) await rejection(t, 'KEY_INVALID', parse(text.slice(from, to)));
      }
    }
  });

  test(`a ${what} key with any of its letters changed is refused`, async (t) => {
    for (let at = 0; at < text.length; at++) {
      for (let bit = 0; bit < 7; bit++) {
        const letter = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
        const error = await rejection(t, 'KEY_INVALID', parse(text.slice(0, at) + letter + text.slice(at + 1)));
        t.false(error.message.includes('AYEKFALV'), 'the error does not give the key away');
      }
    }
  });
}

for (const [what, text] of [
  ['of another kind', 'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'],
  ['of another length', 'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=='],
  ['that is private', PRIVATE],
  ['with a line end', `${VERIFIER}\n`],
] as const) {
  test(`a verifier key ${what} is refused`, async (t) => {
    await rejection(t, 'KEY_INVALID', parseVerifierKey(text));
  });
}

test('a verifier key is not a private key', async (t) => {
  await rejection(t, 'KEY_INVALID', parsePrivateKey(VERIFIER));
  await rejection(t, 'KEY_INVALID', parsePrivateKey(`PRIVATE+KEY+${VERIFIER}`));
});
