import { openStore } from '../../src/store/open/open-store.js';

// Opens the store that the first argument names, writes to it, says so, and holds it until it is killed.
const store = await openStore(process.argv[2] ?? '');
await store.load(process.argv[3] ?? '');
for (let at = 0; at < 50; at++) await store.tag({ source: [...store.map().keys()][0] as never, target: `held:${at}` });
process.send?.('written');
setInterval(() => undefined, 60_000);
