import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Returns the path of an archive of the test fixtures, relative to the working directory as one would type it. */
export function fixtureArchive(name: string): string {
  return relative(process.cwd(), join(projectRoot(), 'test', 'fixtures', 'archives', name));
}

// The compiled file stands deeper than its source: the manifest shows where the project begins.
function projectRoot(folder = dirname(fileURLToPath(import.meta.url))): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  if (dirname(folder) === folder) throw new Error('no package.json above the demo, expected that of the project');
  return projectRoot(dirname(folder));
}
