import test from 'ava';
import { decodeRecord, encodeRecord } from '../../../src/log/record.js';
import { isRecordOf } from '../../../src/store/verify/record-check.js';
import { anyEvent } from '../../support/event-arbitraries.js';
import { allowedFailure } from './allowed-failure.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

test('only what encodes an event matches it, of all that is read as that event', async (t) => {
  await fuzz(
    t,
    mutated(anyEvent().map(encodeRecord)),
    async (bytes) => {
      const event = await allowedFailure(() => decodeRecord(bytes), ['LOG_CORRUPT', 'STORE_FORMAT_UNSUPPORTED']);
      if (event !== undefined && isRecordOf(event, bytes)) t.deepEqual(encodeRecord(event), Buffer.from(bytes));
    },
    5_000,
  );
});
