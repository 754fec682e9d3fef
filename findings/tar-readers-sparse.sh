#!/bin/sh
# tar 7.5.23 and tar-stream 3.2.2: a sparse file of a tar comes out as other bytes, without an error.
#
# Behaviour: GNU tar --sparse writes three PAX forms (0.0, 0.1, 1.0) and its old one (type S). Both
# packages take the stored parts for the file: without its holes, in 1.0 with the map as text before
# them, in 0.1 and 1.0 under the name ./GNUSparseFile.N/…, which GNU tar made up to warn readers that
# know no sparse files. tar extracts nothing of the old form. Neither throws or warns, and the size that
# the header states (1,048,576 here) is not compared.
# Output seen: for each form and package, "wrong bytes" or "nothing"
# Fails when one of them gives the file as it was, or refuses it. Needs GNU tar.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts tar@7.5.23 tar-stream@3.2.2 >/dev/null
node -e "const fs = require('fs'); const f = fs.openSync('file', 'w'); fs.ftruncateSync(f, 2 ** 20); fs.writeSync(f, 'hello', 2 ** 19)"
for form in 0.0 0.1 1.0; do tar --format=posix --sparse --sparse-version=$form -cf "pax-$form.tar" file; done
tar --format=gnu --sparse -cf old-gnu.tar file
cat >read.mjs <<'JS'
import { createReadStream, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { extract as extractTo } from 'tar';
import { extract } from 'tar-stream';

const file = readFileSync('file');
const answer = (found) =>
  found.length === 0 ? 'nothing' : found.every((bytes) => !bytes.equals(file)) ? 'wrong bytes' : 'the file';

async function byTar(archive) {
  const folder = `out-${archive}`;
  mkdirSync(folder);
  await extractTo({ file: archive, cwd: folder, strict: true });
  const paths = readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
  return paths.filter((path) => statSync(path).isFile()).map((path) => readFileSync(path));
}
async function byTarStream(archive) {
  const found = [];
  const entries = createReadStream(archive).pipe(extract());
  for await (const entry of entries) found.push(await buffer(entry));
  return found;
}
for (const archive of ['pax-0.0.tar', 'pax-0.1.tar', 'pax-1.0.tar', 'old-gnu.tar']) {
  const answers = [answer(await byTar(archive)), answer(await byTarStream(archive))];
  console.log(`${archive}: tar ${answers[0]}, tar-stream ${answers[1]}`);
  if (answers.includes('the file')) process.exitCode = 1;
}
JS
node read.mjs
