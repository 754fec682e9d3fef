import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Relative to the compiled file. */
const ROOT = new URL('../../../', import.meta.url);

const { bin, exports } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
  readonly bin: { readonly imagelog: string };
  readonly exports: { readonly '.': { readonly default: string } };
};

/** The program and the library as they are published: `npm run bench` bundles them. */
export const PROGRAM = fileURLToPath(new URL(bin.imagelog, ROOT));
export const LIBRARY = new URL(exports['.'].default, ROOT);
