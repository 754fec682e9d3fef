import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { formatCheckpoint } from '../../src/log/checkpoint.js';
import { entriesPath, formatEntries, Frontier, leafHash, TILE_WIDTH } from '../../src/log/merkle.js';
import { encodeRecord } from '../../src/log/record.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { restoreStore } from '../../src/store/backup/restore.js';
import { formatSidecar, newSidecar } from '../../src/store/open/sidecar.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { filesBelow } from '../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';
import { contentsOfPack } from '../support/unpacked-backup.js';
import { archivePath } from '../store/fixture-archives.js';
import { newBackup } from '../store/backup/restored-store.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** The backup of a store with images, layers, names, a deletion, and more events than a tile holds. */
async function richBackup(t: ExecutionContext): Promise<string> {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  await store.delete(store.resolve('twice:1'));
  await Promise.all(Array.from({ length: 3 }, (_, at) => store.create(imageConfig(`${at % 3}`))));
  for (let at = 0; at < 260; at++) await store.setLastUpdated(store.search('bd10'));
  return newBackup(t, store);
}

/** What a file may become that somebody damaged. */
const damages: readonly { readonly what: string; readonly damaged: (bytes: Buffer) => Uint8Array | undefined }[] = [
  { what: 'missing', damaged: () => undefined },
  { what: 'cut short', damaged: (bytes) => bytes.subarray(0, bytes.length - 1) },
  { what: 'changed in its first byte', damaged: (bytes) => flipped(bytes, 0) },
  { what: 'changed in its middle', damaged: (bytes) => flipped(bytes, Math.floor(bytes.length / 2)) },
  { what: 'changed in its last byte', damaged: (bytes) => flipped(bytes, bytes.length - 1) },
];

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x10, at);
  return copy;
}

/** Whether an error or a violation speaks of the file, by its path or the digest that is its name; of a pack, of what is in it. */
function names(path: string, whole: Buffer, text: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (text.includes(path) || (name.length === 64 && text.includes(name))) return true;
  return path.startsWith('content/packs/') && [...contentsOfPack(whole).keys()].some((digits) => text.includes(digits));
}

test('a backup of which any file is missing, cut short or changed is refused, and the file is named', async (t) => {
  const source = await richBackup(t);
  const target = join(await temporaryDirectory(t), 'store');
  for (const path of (await filesBelow(source)).keys()) {
    const whole = await readFile(join(source, path));
    for (const { what, damaged } of damages) {
      // Nothing but its own words says when a store was made.
      if (path === 'imagelog.json' && what.includes('middle')) continue;
      const bytes = damaged(whole);
      await rm(join(source, path), { force: true });
      if (bytes !== undefined) await writeFile(join(source, path), bytes);
      const found = await verifyStore(source);
      t.true(
        found.some((violation) => names(path, whole, JSON.stringify(violation))),
        `${path} is ${what}`,
      );
      const error = await rejection(t, 'BACKUP_INVALID', restoreStore(target, source), `${path} is ${what}`);
      t.deepEqual(error.data.violations, found);
    }
    await writeFile(join(source, path), whole);
  }
  t.deepEqual(await readdir(dirname(target)), []);
  await restoreStore(target, source);
});

test('of a backup of 160,000 events that lacks all leaf hashes, each is reported', async (t) => {
  const events = 160_000;
  const source = join(await temporaryDirectory(t), 'backup');
  const origin = 'example.com/many';
  const update: EventBody = { type: 'MetadataSet', image: idNamed('a'), key: 'k', value: new Uint8Array(0) };
  const frontier = new Frontier();
  for (let first = 0; first < events; first += TILE_WIDTH) {
    const records: Uint8Array[] = [];
    for (let seq = first + 1; seq <= first + TILE_WIDTH; seq++) {
      records.push(encodeRecord(eventsFrom(seq, [seq === 1 ? creationOf('a') : update])[0] as StoredEvent));
      frontier.append(leafHash(records.at(-1) as Uint8Array));
    }
    const path = join(source, entriesPath(first / TILE_WIDTH, TILE_WIDTH));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, formatEntries(records));
  }
  await writeFile(join(source, 'imagelog.json'), formatSidecar(newSidecar(origin, 0)));
  const head = { origin, size: events, root: frontier.root(), extensions: [] };
  await writeFile(join(source, 'checkpoint'), formatCheckpoint(head));
  // In separate processes: a thread of the test runner has four times the stack.
  for (const argv of [
    ['verify', source],
    ['restore', source, '--store', `${source}.new`],
  ]) {
    const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [said, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    t.is(code, 4, complaint.slice(-1_000));
    t.is(`${said}${complaint}`.split('LEAF_MISSING').length - 1, events, argv.join(' '));
    t.false(complaint.includes('RangeError'));
  }
  t.false((await readdir(dirname(source))).includes('backup.new'));
});
