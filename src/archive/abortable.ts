import { aborted } from '../abort.js';

/** What watches bytes pass by. */
export interface Watch {
  /** Called with the bytes so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives the bytes of `source`, telling how many they are so far, until `signal` aborts, also while the source gives nothing.
 * @throws {StoreError} ABORTED
 */
export async function* abortable(source: AsyncIterable<Uint8Array>, watch: Watch): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let bytes = 0;
  let isWaiting = false;
  try {
    for (;;) {
      isWaiting = true;
      const next = await nextUnlessAborted(iterator, watch.signal);
      isWaiting = false;
      if (next.done) return;
      bytes += next.value.length;
      watch.onBytes?.(bytes);
      yield next.value;
    }
  } finally {
    // A source that hangs would answer only after its next bytes, so then its closing is not waited for.
    const closing = Promise.resolve(iterator.return?.()).catch(() => undefined);
    if (!isWaiting) await closing;
  }
}

/** A promise of its own for each step: racing with one that lives as long as the signal would keep every step alive. */
function nextUnlessAborted<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<T, unknown>> {
  if (signal === undefined) return iterator.next();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
