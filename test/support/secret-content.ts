import type { LevelLog } from '../../src/log/leveldb/level-log.js';
import { type Digest, digestOf } from '../../src/model/digest.js';
import { newSecret } from './files-with.js';
import { entriesOf, eventsFrom } from './stored-event.js';
import { bytesOf } from './text-bytes.js';

/** Content with a secret in it. */
export interface SecretContent {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly secret: string;
}

/** Returns new content that nothing compresses. */
export function secretContent(): SecretContent {
  const secret = newSecret();
  const bytes = bytesOf(JSON.stringify({ secret }));
  return { digest: digestOf(bytes), bytes, secret };
}

/** Appends a creation for each of `contents`, with its content, in one batch. */
export async function keep(log: LevelLog, ...contents: readonly SecretContent[]): Promise<void> {
  const expectedHead = log.head.seq;
  const events = eventsFrom(
    expectedHead + 1,
    contents.map(({ digest, bytes }) => ({
      type: 'ImageCreated',
      image: digest as never,
      size: bytes.length,
      os: '',
      architecture: '',
    })),
  );
  const content = new Map(contents.map(({ digest, bytes }) => [digest, bytes]));
  await log.append({ expectedHead, entries: entriesOf(events), content });
}

/** Appends the erasure of each of `contents`, in one batch; its bytes stay until a purge. */
export async function remove(log: LevelLog, ...contents: readonly SecretContent[]): Promise<void> {
  const expectedHead = log.head.seq;
  const events = eventsFrom(
    expectedHead + 1,
    contents.map(({ digest, bytes }) => ({ type: 'ContentErased', digest, size: bytes.length })),
  );
  const content = new Map(contents.map(({ digest }) => [digest, undefined]));
  await log.append({ expectedHead, entries: entriesOf(events), content });
}
