import { restoreStore } from '../../../src/store/backup/restore.js';
import { tellParent } from '../child.js';

/* Restores a backup to a directory, and tells of each step, until it is done or killed. */

const [directory, source] = process.argv.slice(2) as [string, string];
await restoreStore(directory, source, { onProgress: () => void tellParent('step') });
process.disconnect();
