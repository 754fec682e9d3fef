import test from 'ava';
import { acceptsGzip } from '../../../src/server/evidence/accepts-gzip.js';

for (const [header, isAccepted] of [
  [undefined, false],
  ['', false],
  ['identity', false],
  ['gzip', true],
  ['GZip', true],
  ['br, gzip;q=0.5', true],
  ['gzip;q=0', false],
  ['gzip; q=0.000, *', false],
  ['*', true],
  ['*;q=0', false],
  ['br, *;q=0.1', true],
  ['gzip;q=x', false],
  ['xgzip', false],
] as const) {
  test(`Accept-Encoding ${header} ${isAccepted ? 'allows' : 'does not allow'} gzip`, (t) => {
    t.is(acceptsGzip(header), isAccepted);
  });
}
