import { fileURLToPath } from 'node:url';

/** The program and the library as they are published: `npm run bench` bundles them. */
export const PROGRAM = fileURLToPath(new URL('../../cli.js', import.meta.url));
export const LIBRARY = new URL('../../index.js', import.meta.url);
