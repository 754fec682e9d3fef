import { pack } from 'tar-stream';

/** A tar of one file that holds `text`. */
export function tarOf(text: string): AsyncIterable<Uint8Array> {
  const tar = pack();
  tar.entry({ name: 'f', mtime: new Date(0) }, text);
  tar.finalize();
  return tar as AsyncIterable<Uint8Array>;
}
