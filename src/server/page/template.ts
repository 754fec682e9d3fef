import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageDirectory } from '../../store/version.js';

let template: Promise<string> | undefined;

/** Reads the template of the page, which the build makes. Throws Node's errors. */
export function readTemplate(): Promise<string> {
  template ??= readFile(join(packageDirectory(), 'dist', 'page.html'), 'utf8');
  return template;
}
