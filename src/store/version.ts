import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Returns the version of the package. */
export function version(): string {
  const manifest = JSON.parse(
    readFileSync(nearestManifest(dirname(fileURLToPath(import.meta.url))), 'utf8'),
  ) as unknown;
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed ? String(manifest.version) : 'unknown';
}

// The compiled file's depth differs between package and checkout.
function nearestManifest(folder: string): string {
  const path = join(folder, 'package.json');
  // At the filesystem root, let the read fail with the missing file.
  return existsSync(path) || dirname(folder) === folder ? path : nearestManifest(dirname(folder));
}
