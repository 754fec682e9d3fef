import { type Case, type CaseOptions, Group, needsOf } from './case.js';
import { type Algorithm, randomBlob } from './content.js';
import { demand, demandBody, demandHeaderIs, demandStatus, Unsupported } from './demands.js';
import { deleteBlob } from './blob-cases.js';
import { blobPath, uploadByPut } from './uploads.js';

const SIZE = 2048;

/** A range that is asked for, and the bytes that must come: from the first to before the last. */
const RANGES: readonly (readonly [range: string, start: number, end: number])[] = [
  ['500-1499', 500, 1500],
  ['500-', 500, SIZE],
  ['-500', SIZE - 500, SIZE],
  ['2000-5000', 2000, SIZE],
];

/** Ranges that no byte is in. */
const UNSATISFIABLE = ['500-0', '5000-10000'];

/** Parts of a blob. */
export function rangeCases({ repository }: CaseOptions, algorithm: Algorithm): readonly Case[] {
  const group = new Group(`ranges, ${algorithm}`, needsOf(algorithm));
  const section = 'Pulling blobs';
  const blob = randomBlob(SIZE, algorithm);
  group.add(section, 'a blob to read in parts', (client) => uploadByPut({ client, repository }, blob));
  for (const [range, start, end] of RANGES) {
    group.add(
      section,
      `GET of bytes ${range}: 206 with these bytes`,
      async (client) => {
        const headers = { range: `bytes=${range}` };
        const answer = await client.ask(blobPath(repository, blob.digest), { headers });
        if (answer.status === 200) throw new Unsupported('all bytes come for a range');
        demandStatus(answer, 206);
        demandHeaderIs(answer, 'content-length', String(end - start));
        const place = `bytes ${start}-${end - 1}`;
        demandHeaderIs(answer, 'content-range', `${place}/${SIZE}`, `${place}/*`);
        demandBody(answer, blob.bytes.subarray(start, end));
      },
      ['range'],
    );
  }
  for (const range of UNSATISFIABLE) {
    group.add(
      section,
      `GET of bytes ${range} of ${SIZE}: 416`,
      async (client) => {
        const answer = await client.ask(blobPath(repository, blob.digest), { headers: { range: `bytes=${range}` } });
        if (answer.status === 200) throw new Unsupported('all bytes come for a range');
        demandStatus(answer, 416);
      },
      ['range'],
    );
  }
  group.addFromText(section, 'GET of a whole blob after its parts', async (client) => {
    const answer = await client.ask(blobPath(repository, blob.digest));
    demandBody(answer, blob.bytes);
    demand(answer.value('content-range') === undefined, `${answer.asked}: Content-Range of a whole blob`);
  });
  group.add('Deleting Blobs', 'the blob is deleted', (client) => deleteBlob({ client, repository }, blob.digest), [
    'blob-delete',
  ]);
  return group.cases;
}
