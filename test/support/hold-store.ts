import { openStore } from '../../src/store/open/open-store.js';

// Opens the store that the first argument names, says so, and holds it until it is killed.
await openStore(process.argv[2] ?? '', { create: false });
process.send?.('open');
setInterval(() => undefined, 60_000);
