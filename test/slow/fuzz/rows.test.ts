import test from 'ava';
import fc from 'fast-check';
import { formatPosition, parsePosition } from '../../../src/log/rows.js';
import { parseManifest, parseRecordFile, parseWriteBatch } from '../../../src/log/leveldb/log-files.js';
import { tableFaults } from '../../../src/log/leveldb/table.js';
import { seqsOfRow, subjectRows } from '../../../src/log/subject-index.js';
import { creationOf, eventsFrom } from '../../support/stored-event.js';
import { allowedFailure } from './allowed-failure.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

test('a position is a seq and a time, or refused', async (t) => {
  const rows = fc.record({ seq: fc.maxSafeNat(), time: fc.maxSafeNat() }).map(formatPosition);
  await fuzz(t, mutated(rows), async (row) => {
    const position = await allowedFailure(() => parsePosition(row), ['LOG_CORRUPT', 'STORE_FORMAT_UNSUPPORTED']);
    if (position !== undefined) t.deepEqual(parsePosition(formatPosition(position)), position);
  });
});

test('a row of the subject index has seqs from 1 that ascend to that of its key, or is refused', async (t) => {
  const bodies = Array.from({ length: 200 }, (_, at) => creationOf(`${at}`));
  const events = eventsFrom(1, bodies).map((event) => ({ ...event, seq: event.seq * 300 }));
  const [longest] = subjectRows(events).sort(([, a], [, b]) => b.length - a.length);
  if (longest === undefined) return t.fail();
  const [key, value] = longest;
  t.true(value.length > 200);
  await fuzz(t, mutated(fc.constant(value)), async (bytes) => {
    const seqs = await allowedFailure(() => seqsOfRow(key, bytes), ['LOG_CORRUPT']);
    if (seqs === undefined) return;
    t.true(
      seqs.every((seq, at) => Number.isSafeInteger(seq) && seq >= 1 && (at === 0 || seq > (seqs[at - 1] as number))),
    );
    t.true(seqs.length <= bytes.length + 1);
  });
});

test('files of LevelDB are read to their end with any bytes in them', async (t) => {
  await fuzz(t, fc.uint8Array({ maxLength: 2_000, size: 'max' }), (bytes) => {
    parseRecordFile(bytes);
    tableFaults(bytes);
    parseWriteBatch(bytes);
    parseManifest([bytes]);
  });
});
