import { restoreStore } from '../../../../src/store/backup/restore.js';

/* Restores a backup to a directory: every call of the system that it makes there is recorded. */

const [directory, source] = process.argv.slice(2) as [string, string];
await restoreStore(directory, source);
