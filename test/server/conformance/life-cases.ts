import { type Case, type CaseOptions, Group, type Place } from './case.js';
import type { Manifest } from './content.js';
import { deleteBlob, demandBlob, demandBlobHead } from './blob-cases.js';
import type { DataSet } from './data-sets.js';
import { demand, demandBody, demandStatus, Unsupported } from './demands.js';
import {
  ACCEPT,
  deleteManifest,
  demandManifest,
  demandManifestHead,
  manifestPath,
  putManifest,
} from './manifest-requests.js';
import type { RegistryClient } from './registry-client.js';
import { addReferrers } from './referrers-cases.js';
import { tagsOf } from './tag-cases.js';
import { uploadByPut } from './uploads.js';

/** What happens to one data set: pushed, listed, pulled, deleted. */
export function lifeCases({ repository }: CaseOptions, set: DataSet): readonly Case[] {
  const group = new Group(set.name, set.needs);
  const at = (client: RegistryClient): Place => ({ client, repository });
  addPush(group, at, set);
  addListing(group, at, set);
  addHeads(group, at, set);
  addPulls(group, at, set);
  addReferrers(group, at, set);
  addDeletes(group, at, set);
  return group.cases;
}

type PlaceOf = (client: RegistryClient) => Place;

function addPush(group: Group, at: PlaceOf, set: DataSet): void {
  if (set.blobs.length > 0)
    group.add('Pushing blobs', 'its blobs are pushed', async (client) => {
      for (const blob of set.blobs) await uploadByPut(at(client), blob);
    });
  for (const manifest of set.manifests) {
    if (set.tagsAsParameters) addPutWithTags(group, at, manifest, tagsIn(set, manifest.digest));
    else {
      group.add('Pushing Manifests', `PUT by digest${withSubject(manifest)}: 201`, (client) =>
        putManifest(at(client), manifest.digest, manifest, { framing: 'chunked' }),
      );
    }
  }
  if (set.tagsAsParameters) return;
  for (const [tag, manifest] of set.tags) {
    group.add('Pushing Manifests', `PUT of tag ${tag}${withSubject(manifest)}: 201`, (client) =>
      putManifest(at(client), tag, manifest),
    );
  }
}

function withSubject({ subject }: Manifest): string {
  return subject === undefined ? '' : ', with a subject';
}

/** Where no tags are set by parameters, they are set one by one for the cases that follow. */
function addPutWithTags(group: Group, at: PlaceOf, manifest: Manifest, tags: readonly string[]): void {
  group.add(
    'Pushing Manifests',
    `PUT by digest with ${tags.length} tags: 201`,
    async (client) => {
      try {
        await putManifest(at(client), manifest.digest, manifest, { tags, framing: 'chunked' });
      } catch (error) {
        if (error instanceof Unsupported) for (const tag of tags) await putManifest(at(client), tag, manifest);
        throw error;
      }
    },
    ['tag-parameter'],
  );
}

function tagsIn({ tags }: DataSet, digest: string): readonly string[] {
  return [...tags].filter(([, manifest]) => manifest.digest === digest).map(([tag]) => tag);
}

function addListing(group: Group, at: PlaceOf, { tags }: DataSet): void {
  if (tags.size === 0) return;
  const section = 'Listing Tags';
  group.add(section, 'its tags are listed', async (client) => {
    const listed = await tagsOf(at(client));
    for (const tag of tags.keys()) demand(listed.includes(tag), `no ${tag} in ${listed.join(', ')}`);
  });
  if (tags.size < 2) return;
  group.add(section, 'after a tag, the later ones are listed', async (client) => {
    const listed = await tagsOf(at(client));
    const last = listed[Math.floor(listed.length / 2)] ?? '';
    const later = await tagsOf(at(client), { last });
    const expected = listed.filter((tag) => tag > last);
    demand(String(later) === String(expected), `after ${last}: ${later.join(', ')}, not ${expected.join(', ')}`);
  });
}

function addHeads(group: Group, at: PlaceOf, { tags, manifests, blobs }: DataSet): void {
  const section = 'Checking if content exists in the registry';
  const head = async (client: RegistryClient, name: string, manifest: Manifest): Promise<void> => {
    const path = manifestPath(at(client).repository, name);
    const answer = await client.ask(path, { method: 'HEAD', headers: ACCEPT });
    demandManifestHead(answer, manifest);
    demandBody(answer, Buffer.alloc(0));
  };
  for (const [tag, manifest] of tags) group.add(section, `HEAD of tag ${tag}: 200`, (c) => head(c, tag, manifest));
  for (const manifest of manifests) {
    group.add(section, 'HEAD of a manifest: 200', (client) => head(client, manifest.digest, manifest));
  }
  if (blobs.length === 0) return;
  group.add(section, 'HEAD of its blobs: 200', async (client) => {
    for (const blob of blobs) await demandBlobHead(at(client), blob);
  });
}

function addPulls(group: Group, at: PlaceOf, { tags, manifests, blobs }: DataSet): void {
  const section = 'Pulling manifests';
  const pull = async (client: RegistryClient, name: string, manifest: Manifest): Promise<void> =>
    demandManifest(await client.ask(manifestPath(at(client).repository, name), { headers: ACCEPT }), manifest);
  for (const [tag, manifest] of tags) group.add(section, `GET of tag ${tag}: 200`, (c) => pull(c, tag, manifest));
  for (const manifest of manifests) {
    group.add(section, 'GET of a manifest: 200, as it was pushed', (c) => pull(c, manifest.digest, manifest));
  }
  if (blobs.length === 0) return;
  group.add('Pulling blobs', 'GET of its blobs: 200, as they were pushed', async (client) => {
    for (const blob of blobs) await demandBlob(at(client), blob);
  });
}

function addDeletes(group: Group, at: PlaceOf, { tags, manifests, blobs }: DataSet): void {
  for (const [tag, manifest] of tags) {
    const name = `DELETE of tag ${tag}: 202, then HEAD: 404`;
    group.add('Deleting tags', name, (client) => deleteManifest(at(client), tag), ['tag-delete']);
    group.addFromText(
      'Deleting tags',
      `the manifest stays without tag ${tag}`,
      async (client) => {
        const path = manifestPath(at(client).repository, manifest.digest);
        demandStatus(await client.ask(path, { method: 'HEAD', headers: ACCEPT }), 200);
      },
      ['tag-delete'],
    );
  }
  for (const { digest } of manifests.toReversed()) {
    const name = 'DELETE of a manifest: 202, then HEAD: 404';
    group.add('Deleting Manifests', name, (client) => deleteManifest(at(client), digest), ['manifest-delete']);
  }
  for (const { digest } of blobs) {
    const name = 'DELETE of a blob: 202, then HEAD: 404';
    group.add('Deleting Blobs', name, (client) => deleteBlob(at(client), digest), ['blob-delete']);
  }
}
