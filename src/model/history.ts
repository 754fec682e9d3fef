import { boolCodec, type Codec, omitEmptyField, pointerCodec, stringCodec, structCodec } from './go-json/codecs.js';
import { readClock, sameInstant, type Timestamp, timestampCodec, timestampFromMs } from './timestamp.js';

/** A build step of an image (OCI image spec, config.md, `history`). */
export interface History {
  readonly created?: Timestamp | undefined;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
  /** Whether the step added no layer. */
  readonly emptyLayer: boolean;
}

/** Go's `image.History`, fields in Docker's order. */
export const historyCodec: Codec<History> = structCodec<History>(
  {
    created: omitEmptyField('created', pointerCodec(timestampCodec)),
    createdBy: omitEmptyField('created_by', stringCodec),
    author: omitEmptyField('author', stringCodec),
    comment: omitEmptyField('comment', stringCodec),
    emptyLayer: omitEmptyField('empty_layer', boolCodec),
  },
  (zero) => ({ ...zero }),
);

/** Returns a history entry created now, in UTC; `now` returns milliseconds since the epoch. */
export function newHistory(
  author: string,
  comment: string,
  createdBy: string,
  isEmptyLayer: boolean,
  now: () => number = Date.now,
): History {
  return { created: timestampFromMs(readClock(now)), createdBy, author, comment, emptyLayer: isEmptyLayer };
}

/** Whether two entries are equal; compares `created` as an instant, not as text. */
export function sameHistory(a: History, b: History): boolean {
  return (
    a.createdBy === b.createdBy &&
    a.author === b.author &&
    a.comment === b.comment &&
    a.emptyLayer === b.emptyLayer &&
    (a.created === undefined || b.created === undefined ? a.created === b.created : sameInstant(a.created, b.created))
  );
}
