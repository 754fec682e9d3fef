import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Returns the path of a test fixture archive, relative to the working directory. */
export function fixtureArchive(name: string): string {
  return relative(process.cwd(), join(projectRoot(), 'test', 'fixtures', 'archives', name));
}

// Compiled files are nested deeper than sources; the manifest marks the project root.
function projectRoot(folder = dirname(fileURLToPath(import.meta.url))): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  if (dirname(folder) === folder) throw new Error('no package.json above the demo, expected that of the project');
  return projectRoot(dirname(folder));
}
