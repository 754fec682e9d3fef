import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../../src/errors.js';
import { readTar } from '../../../src/archive/tar-reader.js';
import { type BuiltEntry, buildTar, collect } from '../../support/build-tar.js';
import { fixturePath } from '../../support/fixtures.js';
import { footprint, temporaryStore } from '../../store/temporary-store.js';
import { bytesIn } from '../../store/artifacts/artifact-world.js';
import { fuzz } from './fuzz.js';

/*
 * Archives whose documents contradict each other and whose digests are right: a change of a
 * document goes up to all that name it, so that the reader meets it.
 */

/** Beyond it an archive takes longer than many others. */
const MOST_BYTES = 2 * 1024 * 1024;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The files of an archive: JSON documents apart from what else there is. */
interface Parts {
  readonly documents: Map<string, Json>;
  readonly others: readonly BuiltEntry[];
}

async function partsOf(tar: Uint8Array): Promise<Parts> {
  const documents = new Map<string, Json>();
  const others: BuiltEntry[] = [];
  for await (const { name, type, body } of readTar(bytesIn(tar))) {
    if (type !== 'file') continue;
    const bytes = await collect(body);
    const json = jsonIn(bytes);
    if (json === undefined) others.push({ name, body: bytes });
    else documents.set(name, json);
  }
  return { documents, others };
}

function jsonIn(bytes: Buffer): Json | undefined {
  try {
    const json = JSON.parse(bytes.toString()) as Json;
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

const HOSTILE: readonly Json[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.in-toto+json',
  'unknown',
  'docker.io/library/x:1',
  `docker.io/library/x@sha256:${'0'.repeat(64)}`,
  '\u001b[2J\u0000',
  '__proto__',
  'x'.repeat(5_000),
  null,
  true,
  0,
  -1,
  5,
  2 ** 60,
  [],
  {},
  { 'vnd.docker.reference.type': 'attestation-manifest', __proto__x: 'y' },
];

/** Which document, which value of it, and what becomes of that. */
interface Change {
  readonly document: number;
  readonly value: number;
  readonly kind: 'replace' | 'remove' | 'copy' | 'twice';
  readonly other: number;
}

const anyChange: fc.Arbitrary<Change> = fc.record({
  document: fc.nat(10_000),
  value: fc.nat(10_000),
  kind: fc.constantFrom('replace', 'remove', 'copy', 'copy', 'twice'),
  other: fc.nat(10_000),
});

type Place = readonly [holder: Json[] | { [key: string]: Json }, key: string | number];

/** Every place of a value in a JSON document, as its holder and key. */
function placesIn(json: Json): Place[] {
  if (typeof json !== 'object' || json === null) return [];
  const own: Place[] = Array.isArray(json)
    ? json.map((_, at) => [json, at])
    : Object.keys(json).map((key) => [json, key]);
  return [...own, ...Object.values(json).flatMap(placesIn)];
}

function changed({ documents }: Parts, { document, value, kind, other }: Change): void {
  const names = [...documents.keys()];
  const name = names[document % names.length] as string;
  const places = placesIn(documents.get(name) as Json);
  const [holder, key] = places[value % Math.max(places.length, 1)] ?? [];
  if (holder === undefined || key === undefined) return;
  const at = holder as Record<string | number, Json>;
  if (kind === 'remove' && Array.isArray(holder)) holder.splice(Number(key), 1);
  else if (kind === 'remove') delete at[key];
  else if (kind === 'replace') at[key] = structuredClone(HOSTILE[other % HOSTILE.length] as Json);
  else if (kind === 'twice' && Array.isArray(holder)) holder.push(structuredClone(at[key] as Json));
  else {
    // A value of any document, of the same key where there is one: descriptors and digests move about.
    const all = names.flatMap((each) => placesIn(documents.get(each) as Json));
    const same = all.filter(([, found]) => found === key);
    const [from, where] = (same[other % Math.max(same.length, 1)] ?? all[other % all.length]) as [never, never];
    at[key] = structuredClone(from[where] as Json);
  }
}

/** The archive with a file for each blob document under its digest, which all that name it have. */
function packed({ documents, others }: Parts): Promise<Buffer> {
  // Documents name those below them, at most a few levels: what changes moves up.
  for (let round = 0; round < 6; round += 1) {
    for (const [name, json] of [...documents]) {
      const before = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
      if (before === undefined) continue;
      const text = JSON.stringify(json);
      const after = createHash('sha256').update(text).digest('hex');
      if (after === before) continue;
      documents.delete(name);
      documents.set(`blobs/sha256/${after}`, json);
      for (const each of documents.values()) renamed(each, before, after, Buffer.byteLength(text));
    }
  }
  const files = [...documents].map(([name, json]) => ({ name, body: JSON.stringify(json) }));
  return buildTar([...others, ...files]);
}

function renamed(json: Json, before: string, after: string, size: number): void {
  for (const [holder, key] of placesIn(json)) {
    const at = holder as Record<string | number, Json>;
    const value = at[key];
    if (typeof value !== 'string' || !value.includes(before)) continue;
    at[key] = value.replaceAll(before, after);
    if (key === 'digest' && typeof at['size'] === 'number' && at['size'] > 0) at['size'] = size;
  }
}

const fixtures = ['archives-unions', 'archives-new'].flatMap((folder) =>
  readdirSync(fixturePath(folder))
    .filter((name) => name.endsWith('.tar.gz'))
    .map((name) => new Uint8Array(gunzipSync(readFileSync(fixturePath(folder, name)))))
    .filter(({ length }) => length < MOST_BYTES),
);

test('a union that contradicts itself is loaded right, or refused by what is wrong and nothing is changed', async (t) => {
  const store = await temporaryStore(t);
  let [loaded, refused] = [0, 0];
  await fuzz(
    t,
    fc.tuple(fc.constantFrom(...fixtures), fc.array(anyChange, { minLength: 1, maxLength: 4 })),
    async ([tar, changes]) => {
      const parts = await partsOf(tar);
      for (const change of changes) changed(parts, change);
      const before = JSON.stringify(await footprint(store));
      try {
        await store.load(bytesIn(await packed(parts)));
        loaded += 1;
      } catch (error) {
        if (!isStoreError(error) || !['InvalidParameter', 'NotFound'].includes(error.kind)) throw error;
        refused += 1;
        t.is(JSON.stringify(await footprint(store)), before);
      }
    },
    400,
  );
  t.log({ loaded, refused });
  t.true(loaded > 0 && refused > 0);
  t.deepEqual(await store.verify(), []);
  // What was loaded is there, and comes back.
  const other = await temporaryStore(t);
  for (const { reference, target } of store.referenceEntries()) {
    const notices: string[] = [];
    const bytes = await collect(store.save(reference, { format: 'oci', onNotice: (text) => notices.push(text) }));
    const { notices: skipped } = await other.load(bytesIn(bytes));
    // An index that describes one digest as two kinds may be refused; a notice then names it.
    if (skipped.some((text) => text.includes(reference))) continue;
    const found = other.referenceEntries().find((entry) => entry.reference === reference);
    if (notices.length === 0 && target !== undefined) t.is(found?.target?.digest, target.digest, reference);
  }
});
