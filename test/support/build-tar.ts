/** One entry for a test's tar; a file unless it says otherwise. */
export interface BuiltEntry {
  readonly name: string;
  readonly body?: string | Uint8Array;
  /** A type by its name, or any type flag. */
  readonly type?: string;
  readonly target?: string;
  /** Records of an extended header before it. */
  readonly pax?: Readonly<Record<string, string>> | readonly (readonly [key: string, value: string])[];
  /** Bytes or latin1 text to set in the header, by offset; the checksum is right in the end. */
  readonly fields?: Readonly<Record<number, string | Uint8Array>>;
  /** The size in the header, where it is not the body's. */
  readonly size?: number;
}

const BLOCK = 512;
const FLAGS: Readonly<Record<string, string>> = { file: '0', link: '1', symlink: '2', directory: '5', fifo: '6' };

/** Returns a tar of `entries`, in order. */
export function buildTar(entries: readonly BuiltEntry[]): Promise<Buffer> {
  return Promise.resolve(Buffer.concat([...entries.map(builtEntry), Buffer.alloc(2 * BLOCK)]));
}

/** Headers, data and padding of one entry; what does not fit into a ustar header goes into PAX records. */
export function builtEntry(entry: BuiltEntry): Buffer {
  const { name, target = '', pax = {}, type = 'file', fields } = entry;
  const body = Buffer.from(entry.body ?? '');
  const records = [...(Array.isArray(pax) ? pax : Object.entries(pax))] as (readonly [string, string])[];
  if (!fits(name)) records.unshift(['path', name]);
  if (!fits(target)) records.unshift(['linkpath', target]);
  const header = builtHeader({ name, target, flag: FLAGS[type] ?? type, size: entry.size ?? body.length, fields });
  const extended = records.length === 0 ? [] : [builtEntry({ name: 'PaxHeader', type: 'x', body: paxOf(records) })];
  return Buffer.concat([...extended, header, padded(body)]);
}

/** PAX records, one after another. */
export function paxOf(records: readonly (readonly [key: string, value: string])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.from(` ${key}=${value}\n`);
      let length = rest.length + 1;
      while (String(length).length + rest.length > length) length += 1;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

function fits(text: string): boolean {
  return text.length <= 100 && Buffer.byteLength(text) === text.length;
}

interface Fields {
  readonly name: string;
  readonly target: string;
  readonly flag: string;
  readonly size: number;
  readonly fields?: BuiltEntry['fields'];
}

function builtHeader({ name, target, flag, size, fields = {} }: Fields): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name.slice(0, 100), 0, 'latin1');
  block.write('0000644\x000000000\x000000000\0', 100, 'latin1');
  block.write(`${size.toString(8).padStart(11, '0')}\x0000000000000\0`, 124, 'latin1');
  block.write(flag, 156, 'latin1');
  block.write(target.slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  for (const [offset, bytes] of Object.entries(fields)) {
    block.set(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, Number(offset));
  }
  return withChecksum(block);
}

/** Sets the checksum of the header in the first block of `tar` right. */
export function withChecksum(tar: Buffer): Buffer {
  tar.fill(' ', 148, 156);
  const sum = tar.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return tar;
}

/** Data and the padding after it. */
export function padded(body: Uint8Array): Buffer {
  return Buffer.concat([body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
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
