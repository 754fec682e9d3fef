import type { Descriptor } from '../src/model/events.js';
import type { SnapshotReader } from './snapshot-reader.js';
import type { SnapshotWriter } from './snapshot-writer.js';

/** Writes a descriptor into a snapshot. */
export function writeDescriptor(out: SnapshotWriter, { digest, size, mediaType }: Descriptor): void {
  out.digest(digest);
  out.uint(size);
  out.word(mediaType);
}

/** Returns the descriptor that stands next in a snapshot. */
export function readDescriptor(input: SnapshotReader): Descriptor {
  return { digest: input.digest(), size: input.uint(), mediaType: input.word() };
}
