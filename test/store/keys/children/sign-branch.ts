import { isStoreError } from '../../../../src/errors.js';
import { readSigner } from '../../../../src/store/keys.js';
import { branchOf } from '../branches.js';

// Signs a branch at every size with the key that the first argument names, and prints the sizes that it signed. Runs as a
// separate process.
const [path = '', name = ''] = process.argv.slice(2);
const signer = await readSigner(path);
const branch = branchOf(name);
const sizes: number[] = [];
try {
  for (let size = 1; size <= 12; size++) {
    await signer.sign(branch.checkpoint(size), branch.beginsWith(12));
    sizes.push(size);
  }
} catch (error) {
  if (!isStoreError(error, 'CHECKPOINT_FORKED')) throw error;
}
process.send?.(sizes);
