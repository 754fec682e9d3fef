import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Returns the version of the package. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(join(packageDirectory(), 'package.json'), 'utf8')) as unknown;
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed ? String(manifest.version) : 'unknown';
}

/** Returns the directory of the package: of what is installed, or of the checkout. */
export function packageDirectory(): string {
  return nearestManifest(dirname(fileURLToPath(import.meta.url)));
}

// The compiled file's depth differs between package and checkout.
function nearestManifest(folder: string): string {
  // At the filesystem root, let the read fail with the missing file.
  return existsSync(join(folder, 'package.json')) || dirname(folder) === folder
    ? folder
    : nearestManifest(dirname(folder));
}
