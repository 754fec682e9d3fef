import { pack } from 'tar-stream';

/** One entry for a test's tar; a file unless it says otherwise. */
export interface BuiltEntry {
  readonly name: string;
  readonly body?: string | Uint8Array;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'fifo';
  readonly target?: string;
  readonly pax?: Readonly<Record<string, string>>;
}

/** Returns a tar of `entries`, in order. */
export async function buildTar(entries: readonly BuiltEntry[]): Promise<Buffer> {
  const tar = pack();
  const bytes = collect(tar as unknown as AsyncIterable<Uint8Array>);
  for (const { name, body, type, target, pax } of entries) {
    const header = { name, type: type ?? 'file', linkname: target ?? '', mtime: new Date(0), pax: pax ?? null };
    await new Promise<void>((resolve, reject) => {
      tar.entry(header, body ?? '', (error) => (error ? reject(error) : resolve()));
    });
  }
  tar.finalize();
  return bytes;
}

/** Returns all bytes of `source`. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Gives `bytes` in chunks of `size`. */
export async function* inChunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
