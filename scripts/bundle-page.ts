import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Bytes of the template: it is sent with each page, and read before anything is shown. */
const MOST_BYTES = 300_000;

/** Makes the template of the page, dist/page.html: one file, without data. @throws {Error} when it is too large */
export async function bundlePage(root: string): Promise<void> {
  const view = join(root, 'src', 'page', 'view');
  const { outputFiles } = await build({
    entryPoints: [join(view, 'main.tsx')],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2023',
    charset: 'ascii',
    minify: true,
    legalComments: 'none',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: {},
    alias: { msgpackr: join(root, 'node_modules', 'msgpackr', 'index.js') },
    write: false,
  });
  const script = outputFiles[0]?.text.trim() ?? '';
  const css = await build({ entryPoints: [join(view, 'page.css')], bundle: true, minify: true, write: false });
  // A text with a dollar sign would else be read as a pattern.
  const page = readFileSync(join(view, 'template.html'), 'utf8')
    .replace('<!-- style -->', () => `<style>${css.outputFiles[0]?.text.trim() ?? ''}</style>`)
    .replace('<!-- script -->', () => `<script>${script.replaceAll('</script', '<\\/script')}</script>`);
  if (Buffer.byteLength(page) > MOST_BYTES)
    throw new Error(`the page has ${page.length} bytes, at most ${MOST_BYTES} are allowed`);
  writeFileSync(join(root, 'dist', 'page.html'), page);
}
