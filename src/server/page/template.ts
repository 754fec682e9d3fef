import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageDirectory } from '../../store/version.js';

let template: string | undefined;

/** Reads the template of the page, which the build makes. Throws Node's errors. */
export async function readTemplate(): Promise<string> {
  template ??= await readFile(join(packageDirectory(), 'dist', 'page.html'), 'utf8');
  return template;
}
