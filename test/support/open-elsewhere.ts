import { openStore } from '../../src/store/open/open-store.js';

// Tries to open the store that the first argument names, and says how that went: run as its own process.
const directory = process.argv[2] ?? '';
const answer = await openStore(directory, { create: false }).then(
  async (store) => {
    await store.close();
    return { opened: true };
  },
  (error: { code?: string; data?: { pid?: number } }) => ({ code: error.code, pid: error.data?.pid }),
);
process.send?.(answer);
