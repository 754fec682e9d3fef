import { readFileSync } from 'node:fs';
import test from 'ava';
import { checkHistory, type Image, isValidParent, newFromJSON } from '../../src/model/image.js';
import { canonicalReference } from '../../src/model/reference.js';
import { filesOfArchive } from '../support/docker-layers.js';
import { fixturePath } from '../support/fixtures.js';
import { textOf } from '../support/text-bytes.js';

interface ManifestEntry {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Parent?: string;
}

interface Archived {
  readonly image: Image;
  readonly entry: ManifestEntry;
}

type Expectations = Readonly<Record<string, readonly { readonly id: string }[]>>;

const readArchive = async (name: string): Promise<ReadonlyMap<string, Archived>> => {
  const files = await filesOfArchive(name);
  const bytesAt = (path: string): Uint8Array => files.get(path) ?? new Uint8Array();
  const entries = JSON.parse(textOf(bytesAt('manifest.json'))) as ManifestEntry[];
  return new Map(
    entries.map((entry) => {
      const image = newFromJSON(bytesAt(entry.Config));
      return [image.id(), { image, entry }];
    }),
  );
};

for (const [name, parentCount] of [
  ['docker25-all.tar', 3],
  ['docker20-all.tar', 2],
] as const) {
  test(`every parent that ${name} claims is accepted, and not the other way round`, async (t) => {
    const images = await readArchive(name);
    t.is(images.size, 5);
    let parents = 0;
    for (const { image, entry } of images.values()) {
      t.notThrows(() => checkHistory(image));
      const parent = images.get(entry.Parent ?? '');
      if (parent === undefined) continue;
      parents++;
      t.true(isValidParent(image, parent.image), entry.RepoTags.join());
      t.false(isValidParent(parent.image, image), entry.RepoTags.join());
    }
    t.is(parents, parentCount);
  });

  test(`the ids, chains, platforms and names of the images in ${name} are those recorded`, async (t) => {
    const images = await readArchive(name);
    const recorded = JSON.parse(readFileSync(fixturePath('archives', 'expected.json'), 'utf8')) as Expectations;
    const answers = [...images.values()].map(({ image, entry }) => ({
      id: image.imageID(),
      references: entry.RepoTags.map(canonicalReference).sort(),
      parent: entry.Parent ?? '',
      diffIds: image.rootFS.diffIds,
      chainId: image.rootFS.chainID(),
      os: image.os,
      architecture: image.architecture,
    }));
    t.deepEqual(
      answers.sort((a, b) => (a.id < b.id ? -1 : 1)),
      [...(recorded[name] ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1)) as typeof answers,
    );
  });
}
