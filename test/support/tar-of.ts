import { buildTar } from './build-tar.js';

/** A tar of one file that holds `text`. */
export async function* tarOf(text: string): AsyncGenerator<Uint8Array> {
  yield await buildTar([{ name: 'f', body: text }]);
}
