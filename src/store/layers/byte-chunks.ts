type AnyIterator = Iterator<unknown, unknown> | AsyncIterator<unknown, unknown>;

/**
 * Returns the chunks of `stream`, the argument `name` of a call, each checked to be bytes: a file takes a text as well,
 * and would keep other bytes than those that are hashed.
 * @throws {TypeError} naming the argument: at once when it is no stream, while reading when a chunk is no Uint8Array
 */
export function byteChunks(name: string, stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterate = iteratorOf(stream);
  if (iterate === undefined) throw new TypeError(`${name} must be a stream of Uint8Array`);
  return { [Symbol.asyncIterator]: () => checkedChunks(name, iterate()) };
}

// No generator: it would keep `return` from a source that hangs until its next chunk.
function checkedChunks(name: string, chunks: AnyIterator): AsyncIterator<Uint8Array, undefined> {
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    await chunks.return?.();
    return { done: true, value: undefined };
  };
  return {
    next: async () => {
      const { done, value } = await chunks.next();
      if (done === true) return { done, value: undefined };
      if (value instanceof Uint8Array) return { value };
      await end();
      throw new TypeError(`each chunk of ${name} must be a Uint8Array`);
    },
    return: end,
  };
}

// A list of chunks is read as well as a stream of them.
function iteratorOf(value: unknown): (() => AnyIterator) | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const stream = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const iterate = stream[Symbol.asyncIterator] ?? stream[Symbol.iterator];
  return typeof iterate === 'function' ? iterate.bind(stream) : undefined;
}
