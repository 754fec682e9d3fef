import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { digestFromHash } from '../../../src/model/digest.js';
import { tellParent } from '../child.js';
import { openUploads, REPOSITORY } from '../crash/uploaded-bytes.js';
import { peakMemory } from './peak-memory.js';

/* Uploads a file in two requests, the second after a restart, and tells its size as a layer and the peak of memory. */

const [directory, path] = process.argv.slice(2) as [string, string];
const hash = createHash('sha256');
for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
const first = await openUploads(directory);
const { id, size } = await first.start(REPOSITORY, 'ada');
await (await first.upload(REPOSITORY, id)).append(createReadStream(path, { end: 300 * 1024 ** 2 - 1 }), size);
await first.end();
const uploads = await openUploads(directory);
const upload = await uploads.upload(REPOSITORY, id);
await upload.append(createReadStream(path, { start: upload.size }));
const staged = await upload.finish(digestFromHash(hash.digest()));
await uploads.end();
await tellParent({ peakBytes: peakMemory(), savedBytes: staged.size });
