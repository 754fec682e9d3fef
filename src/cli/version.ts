import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Returns the version of the installed package. */
export function version(): string {
  const manifest = JSON.parse(
    readFileSync(nearestManifest(dirname(fileURLToPath(import.meta.url))), 'utf8'),
  ) as unknown;
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed ? String(manifest.version) : 'unknown';
}

// The compiled file stands at one depth in the package and at another in a checkout.
function nearestManifest(folder: string): string {
  const path = join(folder, 'package.json');
  // At the top of all folders the reader says that it is missing.
  return existsSync(path) || dirname(folder) === folder ? path : nearestManifest(dirname(folder));
}
