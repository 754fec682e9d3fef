import { entriesPath, hashInTile, parseEntries, TILE_WIDTH, tileOfTree, tilePath } from '../log/merkle.js';
import { HASH_BYTES, type Digest } from '../model/digest.js';
import type { LogSource } from './source.js';

type Get = (url: URL) => Promise<Response>;

/** The log of the server that sent the page, over its evidence routes. */
export class ServedSource implements LogSource {
  readonly kind = 'server';
  readonly first = 1;
  readonly key: string | undefined;
  readonly leftOut = undefined;
  readonly #base: string;
  readonly #get: Get;

  private constructor(base: string, get: Get, key: string | undefined) {
    this.#base = base;
    this.#get = get;
    this.key = key;
  }

  /** `base` is the absolute address of the page; `reload` asks again for what the browser has kept. */
  static async open(base: string, cache: 'default' | 'reload' = 'default'): Promise<ServedSource> {
    const get: Get = (url) =>
      // Browsers say no more than that they failed to fetch.
      fetch(url, { cache } as RequestInit).catch((cause: unknown) => {
        throw new Error('the server cannot be reached', { cause });
      });
    const answer = await get(new URL('log/key', base));
    if (!answer.ok && answer.status !== 404) throw new Error(`the server answers ${answer.status} for log/key`);
    return new ServedSource(base, get, answer.ok ? (await answer.text()).trim() : undefined);
  }

  async checkpoint(): Promise<string> {
    return new TextDecoder().decode(await this.#read('log/checkpoint'));
  }

  async records(index: number, size: number): Promise<readonly Uint8Array[]> {
    return parseEntries(await this.#read(`log/${entriesPath(index, widthOf(index, size))}`));
  }

  async witnesses(index: number, size: number): Promise<readonly Uint8Array[]> {
    const tile = tileOfTree(0, index, size);
    const bytes = await this.#read(`log/${tilePath(tile)}`);
    return Array.from({ length: Math.floor(bytes.length / HASH_BYTES) }, (_, at) => hashInTile(bytes, at));
  }

  tileHash(): undefined {
    return undefined;
  }

  async content(digest: Digest): Promise<Uint8Array | undefined> {
    const answer = await this.#get(new URL(`log/content/${digest}`, this.#base));
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`the server answers ${answer.status} for ${digest}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  async #read(path: string): Promise<Uint8Array> {
    const answer = await this.#get(new URL(path, this.#base));
    if (!answer.ok) throw new Error(`the server answers ${answer.status} for ${path}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
}

function widthOf(index: number, size: number): number {
  return Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
}
