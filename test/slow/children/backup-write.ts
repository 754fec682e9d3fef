import { openStore } from '../../../src/store/open/open-store.js';
import { tellParent } from '../child.js';

/* Backs a store up to a directory, and tells of its beginning and each step, until it is done or killed. */

const [directory, target] = process.argv.slice(2) as [string, string];
const store = await openStore(directory, { create: false, readOnly: true });
await store.backup(target, { onProgress: () => void tellParent('step') });
await store.close();
process.disconnect();
