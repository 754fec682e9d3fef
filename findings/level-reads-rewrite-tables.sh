#!/bin/sh
# level 10.0.0 (classic-level 3.0.0, LevelDB 1.20): reading a database deletes its tables.
#
# Behaviour: 200,000 getSync calls on a database of 6,000 rows, with no write since it was opened,
# make LevelDB compact ("seek compaction"): the tables that were there are deleted and others are
# written. There is no option to open for reading only, and the types name none. A program that
# "only reads" therefore writes to the folder, needs room on the disk, and must hold the lock.
# Output seen: tables 3 -> 9, deleted by reading: 2, written by reading: 8 (the numbers vary)
# Fails when reading leaves the tables as they were.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts level@10.0.0 classic-level@3.0.0 >/dev/null
cat >read.mjs <<'JS'
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Level } from 'level';

const tables = () => readdirSync('db').filter((name) => name.endsWith('.ldb'));
const key = (at) => String((at * 7919) % 6_000).padStart(6, '0');
async function opened() {
  const db = new Level('db', { valueEncoding: 'view' });
  await db.open();
  return db;
}

const filled = await opened();
for (let at = 0; at < 6_000; at++) await filled.put(key(at), new Uint8Array(randomBytes(1_500)));
await filled.close();
// This open moves the write-ahead log into a table: afterwards every row is in one.
await (await opened()).close();

const db = await opened();
const before = tables();
for (let at = 0; at < 200_000; at++) db.getSync(key(at));
await delay(2_000);
const after = tables();
await db.close();
const deleted = before.filter((name) => !after.includes(name)).length;
const written = after.filter((name) => !before.includes(name)).length;
console.log(`tables ${before.length} -> ${after.length}, deleted by reading: ${deleted}, written by reading: ${written}`);
process.exitCode = deleted > 0 ? 0 : 1;
JS
node read.mjs
