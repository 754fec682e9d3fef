import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerImages } from '../../../../scripts/bench/file-peers/docker-images.js';

/*
 * Does with the peer what the recorded daemon did, in its order; arguments: an empty directory and
 * the file of a config. Looks for a file before each step, so that a trace tells steps apart.
 */

const [root, config] = process.argv.slice(2) as [string, string];
const images = new DockerImages(root);
begin('create');
const id = images.create(readFileSync(config));
begin('name');
images.setLastUpdated(id, new Date());
begin('restore');
const restored = new DockerImages(root);
begin('get');
if (restored.get(id).parent !== undefined) throw new Error('the image has a parent');

function begin(step: string): void {
  try {
    readFileSync(join(root, `step ${step}`));
  } catch {
    return;
  }
  throw new Error('a step is not a file');
}
