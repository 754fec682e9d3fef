import { type Case, type CaseOptions, Group, type Place } from './case.js';
import { blobOf, MEDIA, manifestOf, partOf } from './content.js';
import { demand, demandHeaderIs, demandStatus, jsonOf } from './demands.js';
import { deleteManifest, putManifest } from './manifest-requests.js';
import { nextOf } from './referrers-cases.js';
import type { Answer } from './registry-client.js';
import { uploadByPut } from './uploads.js';

const SECTION = 'Listing Tags';

/** Pushed in this order, listed in the order of their bytes. */
const TAGS = ['b', 'a', 'A', '1.10', '1.2', '_', 'b-1', 'b.1', 'B'];
const SORTED = TAGS.toSorted();

interface Query {
  readonly n?: number;
  readonly last?: string;
}

/** Returns the tags of a repository, or those after `last`, from as many pages as there are. */
export async function tagsOf(place: Place, query: Query = {}): Promise<readonly string[]> {
  const tags: string[] = [];
  for (let answer = await askTags(place, query); ; ) {
    tags.push(...tagsIn(answer, place.repository));
    const next = nextOf(answer);
    if (next === undefined) return tags;
    answer = await place.client.ask(next);
  }
}

function askTags({ client, repository }: Place, { n, last }: Query): Promise<Answer> {
  const query = new URLSearchParams({
    ...(n === undefined ? {} : { n: String(n) }),
    ...(last === undefined ? {} : { last }),
  }).toString();
  return client.ask(`/v2/${repository}/tags/list${query === '' ? '' : `?${query}`}`);
}

function tagsIn(answer: Answer, repository: string): readonly string[] {
  demandStatus(answer, 200);
  const { name, tags } = jsonOf(answer) as { name?: unknown; tags?: string[] | null };
  demand(name === repository, `${answer.asked}: the name is ${name}`);
  demand(tags === null || Array.isArray(tags), `${answer.asked}: no list of tags`);
  return tags ?? [];
}

/** Lists of tags, whole and in parts. */
export function tagCases({ repository, other }: CaseOptions): readonly Case[] {
  const group = new Group('lists of tags');
  const own = `${repository}/tags`;
  const config = partOf(Buffer.from('{}'), MEDIA.empty);
  const manifest = manifestOf(config, [], { artifactType: MEDIA.note });
  group.add(SECTION, 'tags of a repository that nobody pushed to: 200 or 404', async (client) =>
    demandStatus(await askTags({ client, repository: `${other}/unknown` }, {}), 200, 404),
  );
  group.add('Pushing Manifests', 'a manifest with tags is pushed', async (client) => {
    const place = { client, repository: own };
    await uploadByPut(place, config.blob ?? blobOf(Buffer.from('{}')));
    for (const tag of TAGS) await putManifest(place, tag, manifest);
  });
  addLists(group, own);
  group.add(
    'Deleting Manifests',
    'every tag of a deleted manifest is gone',
    async (client) => {
      const place = { client, repository: own };
      await deleteManifest(place, manifest.digest);
      for (const tag of TAGS) {
        demandStatus(await client.ask(`/v2/${own}/manifests/${tag}`, { method: 'HEAD' }), 404);
      }
      const answer = await askTags(place, {});
      if (answer.status !== 404) demand(tagsIn(answer, own).length === 0, 'tags are listed that point at nothing');
    },
    ['manifest-delete'],
  );
  return group.cases;
}

function addLists(group: Group, repository: string): void {
  const lists: readonly (readonly [name: string, query: Query, expected: readonly string[]])[] = [
    ['all tags, in order', {}, SORTED],
    ['those after a tag', { last: '1.2' }, SORTED.slice(2)],
    ['those after what is no tag', { last: 'a0' }, SORTED.slice(SORTED.indexOf('b'))],
    ['none after the last', { last: 'b.1' }, []],
    ['more than there are', { n: 100 }, SORTED],
  ];
  for (const [name, query, expected] of lists) {
    group.addFromText(SECTION, `list of ${name}`, async (client) => {
      const tags = await tagsOf({ client, repository }, query);
      demand(String(tags) === String(expected), `${tags.join(', ')}, not ${expected.join(', ')}`);
    });
  }
  const pages: readonly (readonly [name: string, query: Query, expected: readonly string[], isLast: boolean])[] = [
    ['no tag: n is 0', { n: 0 }, [], true],
    ['the first two', { n: 2 }, SORTED.slice(0, 2), false],
    ['two after a tag', { n: 2, last: '1.2' }, SORTED.slice(2, 4), false],
    ['as many as there are', { n: SORTED.length }, SORTED, true],
  ];
  for (const [name, query, expected, isLast] of pages) {
    group.addFromText(SECTION, `page of ${name}`, async (client) => {
      const answer = await askTags({ client, repository }, query);
      const tags = tagsIn(answer, repository);
      demand(String(tags) === String(expected), `${tags.join(', ')}, not ${expected.join(', ')}`);
      if (isLast) demand(nextOf(answer) === undefined, `${answer.asked}: a Link after the last tag`);
    });
  }
  group.addFromText(SECTION, 'pages of two, by the Link of each', async (client) => {
    const tags = await tagsOf({ client, repository }, { n: 2 });
    demand(String(tags) === String(SORTED), `${tags.join(', ')}, not ${SORTED.join(', ')}`);
  });
  group.addFromText(SECTION, 'a list is JSON', async (client) => {
    const answer = await askTags({ client, repository }, {});
    demandStatus(answer, 200);
    demandHeaderIs(answer, 'content-type', 'application/json', 'application/json; charset=utf-8');
  });
}
