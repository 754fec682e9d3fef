import crypto from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

/*
 * Makes a key in a directory, or signs checkpoints of growing size with it, and tells in a file
 * beside the directory what became of it: the verifier key or the sizes that were signed, and the
 * message of a failure. Names of files are the same every time.
 */

const [directory, what] = process.argv.slice(2) as [string, 'make' | 'sign'];

let drawn = 0;
crypto.randomBytes = ((size: number) =>
  Buffer.alloc(size, crypto.createHash('sha256').update(`${drawn++}`).digest())) as typeof crypto.randomBytes;
syncBuiltinESMExports();
const { createKeyFile } = await import('../../../../src/store/keys.js');
const { readSigner } = await import('../../../../src/store/keys.js');

const path = join(directory, 'log.key');
const told: { verifierKey?: string; signed: number[]; failure?: string } = { signed: [] };
try {
  if (what === 'make') told.verifierKey = await createKeyFile(path, 'a');
  const signer = what === 'sign' ? await readSigner(path) : undefined;
  for (const size of [1, 2, 3, 3]) {
    const checkpoint = { origin: 'a', size, root: new Uint8Array(32).fill(size), extensions: [] };
    if ((await signer?.sign(checkpoint, async () => true)) !== undefined) told.signed.push(size);
    // Given away as soon as it is there.
    writeFileSync(`${directory}.told`, JSON.stringify(told));
  }
} catch (error) {
  told.failure = error instanceof Error ? error.message : String(error);
  writeFileSync(`${directory}.told`, JSON.stringify(told));
}
