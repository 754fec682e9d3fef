/**
 * Pulls the next chunk, unless `signal` aborts first: it rejects with the signal's reason even
 * while the source hangs. A listener for each pull, since a race against one promise for all of
 * them would keep every pull in memory.
 */
export function nextChunk(
  chunks: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<IteratorResult<Uint8Array, unknown>> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    chunks
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}
