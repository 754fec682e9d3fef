import { openStore } from '../../../../src/store/open/open-store.js';

/* Backs a store up to a directory: to be killed at one of its calls of the system. */

const [directory, target] = process.argv.slice(2) as [string, string];
await using store = await openStore(directory, { create: false, readOnly: true });
await store.backup(target);
