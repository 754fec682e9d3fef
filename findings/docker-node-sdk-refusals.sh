#!/bin/sh
# @docker/node-sdk 0.0.17: what the daemon refuses, the client reports as done.
#
# Behaviour: the daemon answers 404, `No such image`, as dockerd does. `imageTag`, `imageLoad` and
# `containerStart` resolve without a value, as after success; `imageDelete` resolves with the body
# of the answer in place of its list; `imageGet` writes that body into the archive, and
# `imageCreate` (a pull) resolves with an empty id. No status reaches the caller. Only reads that
# parse JSON reject, and what they reject with is a function, without message or status.
# Output seen: tag, load, start, delete, get and pull of a missing image resolve; inspect rejects
# with a function
# Fails when one of them rejects. Needs npm.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts @docker/node-sdk@0.0.17

cat >ask.mjs <<'JS'
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { DockerClient } from '@docker/node-sdk';

const refusal = '{"message":"No such image: app:prod"}\n';
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(404, { 'Api-Version': '1.45', 'Content-Type': 'application/json' });
  response.end(refusal);
});
await new Promise((resolve) => server.listen('docker.sock', resolve));
const docker = await DockerClient.fromDockerHost('unix:docker.sock');

assert.equal(await docker.imageTag('app:prod', 'app', 'old'), undefined);
assert.equal(await docker.imageLoad(new Blob(['archive']).stream()), undefined);
assert.equal(await docker.containerStart('app'), undefined);
assert.deepEqual(await docker.imageDelete('app:prod'), JSON.parse(refusal));
let archive = '';
const write = (chunk) => { archive += Buffer.from(chunk).toString(); };
assert.equal(await docker.imageGet('app:prod', new WritableStream({ write })), undefined);
assert.equal(archive, refusal);
assert.equal(await docker.imageCreate({ fromImage: 'app:prod' }).wait(), '');
const reason = await docker.imageInspect('app:prod').catch((error) => error);
assert.equal(typeof reason, 'function');
console.log('tag, load, start, delete, get and pull of a missing image resolve; inspect rejects with a function');
process.exit();
JS
node ask.mjs
