import { defineProjection, type EventStore, type Image, type ImageId, openStore } from '../../src/index.js';

/*
 * Draws how many images each team had over time, a team being the label `team` of a config:
 *
 *     node dist/scripts/examples/team-images.js [DIRECTORY]
 *
 * The projection records when each image was in the store, but not labels: a view must depend on
 * the events alone, for reproducible replays, and events carry no labels. Labels are read when
 * drawing, those of deleted images from past stores.
 */

/** An image's time in the store, in milliseconds since the epoch; open-ended while it is there. */
interface Stay {
  readonly image: ImageId;
  readonly from: number;
  readonly until?: number;
}

interface Stays {
  readonly ended: Stay[];
  readonly lasting: Map<ImageId, Stay>;
}

const imageStays = defineProjection({
  name: 'image-stays',
  version: 1,
  initial: (): Stays => ({ ended: [], lasting: new Map() }),
  evolve(stays, event) {
    if (event.type === 'ImageCreated') {
      stays.lasting.set(event.image, { image: event.image, from: event.time });
    } else if (event.type === 'ImageDeleted') {
      const stay = stays.lasting.get(event.image);
      if (stay !== undefined) stays.ended.push({ ...stay, until: event.time });
      stays.lasting.delete(event.image);
    }
    return stays;
  },
  // With these two, the next run folds only newer events.
  encode: ({ ended, lasting }) => new TextEncoder().encode(JSON.stringify([ended, [...lasting]])),
  decode(bytes) {
    const [ended, lasting] = JSON.parse(new TextDecoder().decode(bytes)) as [Stay[], [ImageId, Stay][]];
    return { ended, lasting: new Map(lasting) };
  },
});

interface Column {
  readonly moment: number;
  readonly images: readonly ImageId[];
}

const COLUMNS = 48;
const HEIGHTS = ' ▁▂▃▄▅▆▇█';

async function main(directory = './data'): Promise<void> {
  await using store = await openStore(directory, { create: false });
  using live = await store.project(imageStays);
  const stays = [...live.current.ended, ...live.current.lasting.values()];
  if (stays.length === 0) return console.log('no image was ever in this store');
  const columns = columnsOf(stays, store.log.head.time);
  const teams = await teamsOf(store, columns);
  for (const line of chartLines(columns, teams)) console.log(line);
}

/** Divides the time from the first image to `end` into columns, each with the images at its end. */
function columnsOf(stays: readonly Stay[], end: number): Column[] {
  const begin = stays.reduce((earliest, { from }) => Math.min(earliest, from), end);
  return Array.from({ length: COLUMNS }, (_, at) => {
    const moment = Math.floor(begin + ((end - begin) * (at + 1)) / COLUMNS);
    const present = stays.filter(({ from, until = Infinity }) => from <= moment && moment < until);
    return { moment, images: present.map(({ image }) => image) };
  });
}

/** Reads the team of each image; deleted ones need at most one past store per column. */
async function teamsOf(store: EventStore, columns: readonly Column[]): Promise<Map<ImageId, string>> {
  const teams = new Map<ImageId, string>();
  const present = store.map();
  for (const { moment, images } of columns) {
    const unknown = images.filter((image) => !teams.has(image));
    const isPresent = unknown.every((image) => present.has(image));
    const reads = isPresent ? store : await store.at(new Date(moment));
    for (const image of unknown) teams.set(image, teamOf(reads.get(image)));
  }
  return teams;
}

function teamOf(image: Image): string {
  const team = image.config?.labels?.['team'] ?? '(none)';
  // Labels are untrusted text: drop what could move the cursor.
  return team.replaceAll(/\p{C}/gu, '?').slice(0, 20);
}

/** Draws a row per team, with one scale for all rows. */
function chartLines(columns: readonly Column[], teams: ReadonlyMap<ImageId, string>): string[] {
  const rows = new Map([...new Set(teams.values())].sort().map((team) => [team, new Array<number>(COLUMNS).fill(0)]));
  for (const [at, { images }] of columns.entries()) {
    for (const image of images) {
      const counts = rows.get(teams.get(image) ?? '');
      if (counts !== undefined) counts[at] = (counts[at] ?? 0) + 1;
    }
  }
  const most = largest([...rows.values()].flat());
  const lines = [...rows].map(([team, counts]) => {
    const heights = counts.map((count) => HEIGHTS[Math.ceil((count / most) * 8)]).join('');
    return row(team, heights, String(counts.at(-1)), String(largest(counts)));
  });
  const [first = '', last = ''] = [columns[0], columns.at(-1)].map((column) => dateOf(column?.moment ?? 0));
  return [row('TEAM', first + last.padStart(COLUMNS - first.length), 'NOW', 'MOST'), ...lines];
}

function largest(counts: readonly number[]): number {
  return counts.reduce((most, count) => Math.max(most, count), 0);
}

function row(team: string, drawing: string, now: string, most: string): string {
  return `${team.padEnd(20)}  ${drawing}  ${now.padStart(4)}  ${most.padStart(4)}`;
}

function dateOf(moment: number): string {
  return new Date(moment).toISOString().slice(0, 'yyyy-mm-dd'.length);
}

await main(process.argv[2]);
