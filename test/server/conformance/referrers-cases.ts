import { type Case, type CaseOptions, Group, type Place } from './case.js';
import { type Descriptor, type Manifest, MEDIA, randomBlob } from './content.js';
import type { DataSet } from './data-sets.js';
import { demand, demandHeaderIs, demandStatus, jsonOf, Unsupported } from './demands.js';
import { deleteManifest, putManifest } from './manifest-requests.js';
import type { Answer, RegistryClient } from './registry-client.js';
import { uploadByPut } from './uploads.js';

const SECTION = 'Listing Referrers';

/** Referrers of what nobody refers to. */
export function emptyReferrersCases({ repository, other }: CaseOptions): readonly Case[] {
  const group = new Group('referrers of nothing', ['referrers']);
  const { digest } = randomBlob(32);
  for (const [name, of] of [
    ['of an unknown digest', repository],
    ['in an unknown repository', `${other}/unknown`],
  ] as const) {
    group.add(SECTION, `referrers ${name}: 200, an empty index`, async (client) => {
      const { referrers } = await referrersOf({ client, repository: of }, digest);
      demand(referrers.length === 0, `${referrers.length} referrers of a digest that nobody names`);
    });
  }
  for (const bad of ['sha256:abc', 'sha256', `md5:${digest.slice(7)}`, 'latest']) {
    group.addFromText(SECTION, `referrers of ${bad}: 400`, async (client) =>
      demandStatus(await client.ask(referrersPath(repository, bad)), 400),
    );
  }
  return group.cases;
}

/** Cases of a data set whose manifests have subjects. */
export function addReferrers(group: Group, at: (client: RegistryClient) => Place, set: DataSet): void {
  const subjects = new Set(set.manifests.map(({ subject }) => subject).filter((subject) => subject !== undefined));
  const tagged = new Set([...set.tags.values()].map(({ digest }) => digest));
  for (const subject of subjects) {
    const referring = set.manifests.filter((manifest) => manifest.subject === subject);
    const expected = referring.map(({ descriptor }) => descriptor);
    group.add(
      SECTION,
      'its referrers are listed',
      async (client) => {
        const { referrers } = await referrersOf(at(client), subject);
        demandSame(referrers, expected);
      },
      ['referrers'],
    );
    for (const type of new Set([...expected.map(({ artifactType }) => artifactType ?? ''), MEDIA.seal])) {
      if (type === '') continue;
      group.add(
        SECTION,
        `those of artifact type ${type} are listed alone`,
        async (client) => {
          const { answer, referrers } = await referrersOf(at(client), subject, { artifactType: type });
          demandFiltered(answer);
          demandSame(
            referrers,
            expected.filter(({ artifactType }) => artifactType === type),
          );
        },
        ['referrers', 'referrers-filter'],
      );
    }
    const removable = referring.find(({ digest }) => !tagged.has(digest) && !isNamed(set, digest));
    addLoss(group, at, set, removable);
  }
}

/** Whether another manifest of the set names this one. */
function isNamed({ manifests }: DataSet, digest: string): boolean {
  return manifests.some(({ bytes }) => Buffer.from(bytes).includes(digest));
}

/** A referrer that is deleted is not listed; pushed again, it is. One without tags, which would be lost. */
function addLoss(group: Group, at: (client: RegistryClient) => Place, set: DataSet, last: Manifest | undefined): void {
  const { subject } = last ?? {};
  if (last === undefined || subject === undefined) return;
  group.addFromText(
    SECTION,
    'a deleted referrer is not listed',
    async (client) => {
      await deleteManifest(at(client), last.digest);
      const { referrers } = await referrersOf(at(client), subject);
      demand(!referrers.some(({ digest }) => digest === last.digest), `${last.digest} is listed although deleted`);
    },
    ['referrers', 'manifest-delete'],
  );
  group.addFromText(
    SECTION,
    'a referrer that is pushed again is listed again, once',
    async (client) => {
      for (const blob of set.blobs) await uploadByPut(at(client), blob);
      for (let times = 0; times < 2; times += 1) await putManifest(at(client), last.digest, last);
      const { referrers } = await referrersOf(at(client), subject);
      const found = referrers.filter(({ digest }) => digest === last.digest).length;
      demand(found === 1, `${last.digest} is listed ${found} times`);
    },
    ['referrers'],
  );
}

/** Every referrer of a digest, from as many pages as there are. */
async function referrersOf(
  { client, repository }: Place,
  digest: string,
  query: Readonly<Record<string, string>> = {},
): Promise<{ readonly answer: Answer; readonly referrers: readonly Descriptor[] }> {
  const first = await client.ask(referrersPath(repository, digest, query));
  const referrers: Descriptor[] = [];
  for (let answer = first; ; ) {
    demandStatus(answer, 200);
    demandHeaderIs(answer, 'content-type', MEDIA.index);
    const index = jsonOf(answer) as { schemaVersion?: number; mediaType?: string; manifests?: Descriptor[] };
    demand(index.schemaVersion === 2 && index.mediaType === MEDIA.index, `${answer.asked}: no index`);
    demand(Array.isArray(index.manifests), `${answer.asked}: no list of manifests`);
    referrers.push(...index.manifests);
    const next = nextOf(answer);
    if (next === undefined) return { answer: first, referrers };
    answer = await client.ask(next);
  }
}

/** Returns the URL of the next page; undefined on the last. */
export function nextOf(answer: Answer): URL | undefined {
  const link = answer.value('link');
  if (link === undefined) return undefined;
  const [, target = ''] = /^<([^>]*)>; *rel="next"$/.exec(link) ?? [];
  demand(target !== '', `${answer.asked}: Link is ${link}`);
  return new URL(target, answer.url);
}

function referrersPath(repository: string, digest: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `/v2/${repository}/referrers/${digest}${search === '' ? '' : `?${search}`}`;
}

function demandFiltered(answer: Answer): void {
  const applied = answer.values('oci-filters-applied').flatMap((value) => value.split(',').map((name) => name.trim()));
  if (!applied.includes('artifactType')) throw new Unsupported('no filter by artifact type');
}

function demandSame(listed: readonly Descriptor[], expected: readonly Descriptor[]): void {
  const found = listed.map(textOf).sort();
  const wanted = expected.map(textOf).sort();
  demand(String(found) === String(wanted), `referrers are ${found.join(' ')}, not ${wanted.join(' ')}`);
}

function textOf({ mediaType, digest, size, artifactType, annotations = {} }: Descriptor): string {
  const sorted = Object.entries(annotations).sort(([one], [two]) => (one < two ? -1 : 1));
  return JSON.stringify({ mediaType, digest, size, artifactType, annotations: sorted });
}
