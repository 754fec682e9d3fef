import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { LayerMeter } from '../../archive/layer-meter.js';
import { StoreError } from '../../errors.js';
import type { Digest } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import type { StagedUpload, Upload, UploadArea } from '../registry-store.js';

export class Uploads implements UploadArea {
  readonly #context: StoreContext;
  readonly #uploads = new Map<string, any>();
  readonly #staged = new Map<string, StagedUpload>();
  constructor(context: StoreContext) {
    this.#context = context;
  }
  async start(repository: string): Promise<Upload> {
    const context = this.#context;
    const id = randomUUID();
    const chunks: Uint8Array[] = [];
    let size = 0;
    const upload = {
      id,
      repository,
      get size() {
        return size;
      },
      append: async (bytes: AsyncIterable<Uint8Array>, from?: number) => {
        if (from !== undefined && from !== size) throw new StoreError('UPLOAD_OUT_OF_ORDER', 'order');
        for await (const chunk of bytes) {
          chunks.push(new Uint8Array(chunk));
          size += chunk.length;
        }
        return size;
      },
      finish: async (digest: Digest) => {
        const bytes = Buffer.concat(chunks);
        const meter = new LayerMeter();
        await meter.write(bytes);
        const measurement = await meter.finish();
        this.#uploads.delete(id);
        if (measurement.blob.digest !== digest) throw new StoreError('BLOB_MISMATCH', 'mismatch');
        const file = context.blobs.hold(bytes);
        const staged: StagedUpload = {
          digest,
          size,
          measurement,
          file: { read: () => file.read(), discard: async () => undefined, __f: file } as any,
          read: (range) => Readable.from([range === undefined ? bytes : bytes.subarray(range.first, range.last + 1)]),
        };
        (staged as any).file = file;
        this.#staged.set(`${repository} ${digest}`, staged);
        return staged;
      },
      cancel: async () => {
        this.#uploads.delete(id);
      },
    };
    this.#uploads.set(id, upload);
    return upload;
  }
  async upload(_: string, id: string): Promise<Upload> {
    const upload = this.#uploads.get(id);
    if (upload === undefined) throw new StoreError('UPLOAD_NOT_FOUND', 'no upload');
    return upload;
  }
  staged(repository: string, digest: Digest): StagedUpload | undefined {
    return this.#staged.get(`${repository} ${digest}`);
  }
  repositoriesWith(digest: Digest): string[] {
    return [...this.#staged.keys()].filter((k) => k.endsWith(digest)).map((k) => k.split(' ')[0] as string);
  }
  async mount(repository: string, digest: Digest): Promise<void> {
    const other = [...this.#staged].find(([k]) => k.endsWith(digest));
    if (other) this.#staged.set(`${repository} ${digest}`, other[1]);
    else
      this.#staged.set(`${repository} ${digest}`, {
        digest,
        size: this.#context.blobs.size(digest) ?? 0,
        measurement: undefined,
        file: undefined,
        read: (r) => this.#context.blobs.stream(digest, r),
      });
  }
  async remove(repository: string, digest: Digest): Promise<boolean> {
    return this.#staged.delete(`${repository} ${digest}`);
  }
  async settle(repository: string, digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) this.#staged.delete(`${repository} ${digest}`);
  }
  async sweep(): Promise<void> {}
  async end(): Promise<void> {}
}
