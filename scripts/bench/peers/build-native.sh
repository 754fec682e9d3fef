#!/bin/sh
# Builds the native parts of the peers from the sources in their own packages, with the headers of the Node that runs: nothing is
# downloaded, and no install script runs. One that cannot be built is named; the benchmarks leave it out.
cd "$(dirname "$0")" || exit 1
headers=$(node -p 'path.resolve(process.execPath, "../..")')
for name in better-sqlite3 sqlite3; do
  (cd "node_modules/$name" && JOBS=2 ../.bin/node-gyp rebuild --release --nodedir="$headers") >"build-$name.log" 2>&1 ||
    echo "$name is not built, see scripts/bench/peers/build-$name.log: the benchmarks leave out what needs it"
done
