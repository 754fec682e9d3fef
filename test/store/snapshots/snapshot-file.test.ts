import { createHash } from 'node:crypto';
import test from 'ava';
import { SnapshotDamage } from '../../../projections/snapshot-format.js';
import { MAX_SNAPSHOT_HEADER_BYTES } from '../../../src/limits.js';
import { formatSnapshot, parseSnapshot, type SnapshotHeader } from '../../../src/store/snapshots/snapshot-folder.js';
import { bytesOf } from '../../support/text-bytes.js';

const header: SnapshotHeader = {
  store: 'a',
  kind: 'views',
  versions: { images: 1, children: 2 },
  seq: 7,
  root: 'ab'.repeat(32),
};
const payload = Uint8Array.of(1, 0x0a, 3);
const file = (): Buffer => Buffer.concat([...formatSnapshot(header, [payload.subarray(0, 1), payload.subarray(1)])]);

/** A file with a right checksum over any lines. */
function withLines(lines: string): Buffer {
  const start = bytesOf(lines);
  return Buffer.concat([start, createHash('sha256').update(start).digest()]);
}

test('a snapshot is a line, a line of JSON, the views, and the hash of all that', (t) => {
  const root = 'ab'.repeat(32);
  const lines = `imagelog snapshot 2\n{"store":"a","kind":"views","versions":{"images":1,"children":2},"seq":7,"root":"${root}"}\n`;
  const start = Buffer.concat([bytesOf(lines), payload]);
  t.deepEqual(file(), Buffer.concat([start, createHash('sha256').update(start).digest()]));
  const parsed = parseSnapshot(file());
  t.deepEqual(parsed.header, header);
  t.deepEqual([...parsed.payload], [...payload]);
});

test('a snapshot that is cut anywhere is damaged', (t) => {
  const bytes = file();
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => parseSnapshot(bytes.subarray(0, length)), { instanceOf: SnapshotDamage }, `${length} bytes`);
  }
});

test('a snapshot with any bit of any byte flipped is damaged', (t) => {
  const bytes = file();
  for (const [at, byte] of bytes.entries()) {
    for (let bit = 1; bit < 0x100; bit *= 2) {
      const edited = Uint8Array.from(bytes).with(at, byte ^ bit);
      t.throws(() => parseSnapshot(edited), { instanceOf: SnapshotDamage }, `byte ${at}`);
    }
  }
});

const isNone = test.macro({
  title: (what) => `${what} is not a header, even with a right checksum`,
  exec(t, line: string) {
    t.throws(() => parseSnapshot(withLines(`imagelog snapshot 2\n${line}`)), { instanceOf: SnapshotDamage });
  },
});

const line = (change: Record<string, unknown>): string => `${JSON.stringify({ ...header, ...change })}\n`;

test('a line without an end', isNone, line({}).trimEnd());
test('a line of no JSON', isNone, 'views\n');
test('null', isNone, 'null\n');
test('a store that is a number', isNone, line({ store: 1 }));
test('another kind', isNone, line({ kind: 'other' }));
test('versions of null', isNone, line({ versions: null }));
test('a version that is a text', isNone, line({ versions: { images: '1' } }));
test('seq 0', isNone, line({ seq: 0 }));
test('a seq that is a fraction', isNone, line({ seq: 1.5 }));
test('a root that is too short', isNone, line({ root: 'ab' }));
test('a field too many', isNone, line({ more: 1 }));
test('a field too few', isNone, line({ store: undefined }));
test('a line with a space too many', isNone, line({}).replace(':', ': '));
test('a line over MAX_SNAPSHOT_HEADER_BYTES', isNone, line({ store: 'a'.repeat(MAX_SNAPSHOT_HEADER_BYTES) }));

test('another version of the format is distinguished from damage', (t) => {
  const other = withLines(`imagelog snapshot 1\n${line({})}`);
  t.throws(() => parseSnapshot(other), { instanceOf: SnapshotDamage, message: /another version/ });
});
