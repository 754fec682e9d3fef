import { digestFromHash } from '../model/digest.js';
import { CONTENT_PREFIX } from './keys.js';
import type { ContentReader, StoredContent } from './log.js';
import type { LogSource } from './log-source.js';

/** Rows of a page; fewer when they are large. */
const PAGE_ROWS = 1_000;
/** Bytes that LevelDB hands over at a time. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** Returns a reader of the content rows as they are at this call: LevelDB takes its snapshot when the iterator is made. */
export function openContentRows({ database, failure }: LogSource): ContentReader {
  const range = { gte: Uint8Array.of(CONTENT_PREFIX), lt: Uint8Array.of(CONTENT_PREFIX + 1) };
  const rows = makeOr(failure, () => database.iterator({ ...range, highWaterMarkBytes: READ_AHEAD_BYTES }));
  return {
    async *pages(): AsyncGenerator<readonly StoredContent[]> {
      for (;;) {
        const page = await rows.nextv(PAGE_ROWS).catch((cause: unknown) => {
          throw failure(cause);
        });
        if (page.length === 0) return;
        yield page.map(([key, bytes]) => ({ digest: digestFromHash(key, 1), bytes }));
      }
    },
    close: () => rows.close(),
  };
}

function makeOr<Rows>(failure: LogSource['failure'], make: () => Rows): Rows {
  try {
    return make();
  } catch (cause) {
    throw failure(cause);
  }
}
