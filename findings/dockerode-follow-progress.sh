#!/bin/sh
# dockerode 5.0.1: a push that failed ends as one that succeeded. dockerode 2.5.8 reported it.
#
# Behaviour: dockerd answers a push with 200 and a stream; that it failed is the last line of the
# stream, `{"errorDetail":{…},"error":"denied"}`. `modem.followProgress(stream, (error, lines) =>
# …)` of 2.5.8 calls back with that error. In 3.3.5 and 5.0.1 `error` is null and the failure one of
# `lines`, so that a program which was updated continues after a push or load that failed.
# Output seen: 2.5.8 denied; 3.3.5 null; 5.0.1 null
# Fails when 5.0.1 calls back with an error. Needs npm.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts \
  old@npm:dockerode@2.5.8 middle@npm:dockerode@3.3.5 new@npm:dockerode@5.0.1

cat >push.cjs <<'JS'
const { createServer } = require('node:http');

// As dockerd answers: its lines end with CR and LF.
const lines = [
  { status: 'The push refers to repository [registry.example/app]' },
  { errorDetail: { message: 'denied' }, error: 'denied' },
];
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(lines.map((line) => `${JSON.stringify(line)}\r\n`).join(''));
});
server.listen('docker.sock', async () => {
  const seen = [];
  for (const name of ['old', 'middle', 'new']) {
    const docker = new (require(name))({ socketPath: 'docker.sock' });
    const stream = await docker.getImage('registry.example/app').push({ tag: '1' });
    const error = await new Promise((resolve) => docker.modem.followProgress(stream, resolve));
    seen.push(`${require(`${name}/package.json`).version} ${error}`);
  }
  console.log(seen.join('; '));
  process.exit(seen.join('; ') === '2.5.8 denied; 3.3.5 null; 5.0.1 null' ? 0 : 1);
});
JS
node push.cjs
