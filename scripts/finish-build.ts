import { chmodSync, existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Ends a build: the compiler never removes what it once wrote, so the output of
 * deleted sources goes here (a deleted test would run for ever), and the
 * command becomes executable.
 */
function finishBuild(): void {
  const dist = dirname(dirname(fileURLToPath(import.meta.url)));
  const root = dirname(dist);
  for (const folder of ['src', 'projections', 'scripts', 'test']) removeOrphans(join(dist, folder), join(root, folder));
  const command = join(dist, 'src', 'cli', 'main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
}

/** Removes from `output` what no TypeScript file of `source` stands behind, and folders that are empty then. */
function removeOrphans(output: string, source: string): void {
  if (!existsSync(output)) return;
  for (const entry of readdirSync(output, { withFileTypes: true })) {
    const path = join(output, entry.name);
    if (entry.isDirectory()) {
      removeOrphans(path, join(source, entry.name));
    } else if (!existsSync(join(source, sourceName(entry.name)))) {
      console.log(`build: removes ${relative(process.cwd(), path)}, its source is gone`);
      rmSync(path);
    }
  }
  if (readdirSync(output).length === 0) rmdirSync(output);
}

function sourceName(outputName: string): string {
  return outputName.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
}

finishBuild();
