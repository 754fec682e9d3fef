import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { agoText } from '../../src/cli/image-fields.js';
import { archive, ids, objectsOf, type Session, startSession } from './session.js';

/** A store of `count` images without layers, named by `nameOf`, the youngest last; resolves with their ids. */
async function withImages(
  { store: directory }: Session,
  count: number,
  nameOf: (at: number) => string,
  more: object = {},
): Promise<string[]> {
  const store = await openStore(directory);
  const created: string[] = [];
  for (let at = 0; at < count; at++) {
    const config = {
      architecture: 'amd64',
      os: 'linux',
      created: new Date(1_700_000_000_000 + at * 60_000).toISOString(),
      rootfs: { type: 'layers', diff_ids: [] },
      ...more,
    };
    const id = await store.create(new TextEncoder().encode(JSON.stringify(config)));
    await store.tag({ source: id, target: nameOf(at) });
    created.push(id);
  }
  await store.close();
  return created;
}

test('a template takes the fields of docker images, and prints what docker prints', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  await done('untag', 'twice:1');
  const lines = async (format: string): Promise<string[]> =>
    (await done('images', '--format', format, '--filter', 'since=tiny-lib:1', '--filter', 'dangling=false')).split(
      '\n',
    );
  t.is((await lines('{{.ID}}'))[0], ids.appTwo);
  t.is((await lines('{{.Repository}}:{{.Tag}}'))[0], 'shop/app:2.0');
  t.is((await lines('{{ .Repository }}\\t{{.Size}}'))[0], 'shop/app\t396kB');
  t.is((await lines('{{.CreatedSince}}'))[0], '23 months ago');
  t.is((await lines('{{.CreatedAt}}'))[0], '2024-03-01 10:00:01 +0000 UTC');
  t.regex((await lines('{{.Digest}}'))[0] ?? '', /^sha256:[0-9a-f]{64}$/);
  t.is((await lines('<{{.Tag}}>\\n'))[1], '', 'a line feed of the template, and that of the row');
  t.is((await lines('{{upper .Tag}} {{lower .Reference}} {{truncate .ID 4}}'))[1], 'LATEST shop/app:latest cb4c');
  t.is((await lines('{{json .Tag}}'))[0], '"2.0"');
  const unnamed = await done('images', '--format', '{{.Repository}} {{.Tag}} {{.Digest}}', '--filter', 'dangling=true');
  t.is(unnamed, '<none> <none> <none>\n');
});

test('{{json .}} has every field, docker’s among them, in the order of their names', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const [first] = objectsOf(await done('images', '--format', '{{json .}}'));
  const names = Object.keys(first ?? {});
  t.deepEqual(names, [...names].sort());
  for (const name of ['CreatedAt', 'CreatedSince', 'Digest', 'ID', 'Repository', 'Size', 'Tag']) {
    t.is(typeof first?.[name], 'string', name);
  }
  t.like(first, { Repository: 'twice', Tag: '1', ID: ids.twice, Kind: 'image', Platform: 'linux/amd64' });
});

test('a table of a template or of columns has titles, and --no-trunc whole ids', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('skopeo-tiny-1.tar'));
  await done('tag', ids.tiny, 'tiny:1');
  const id = (await done('resolve', 'tiny:1')).trim();
  t.is(
    await done('images', '--format', 'table {{.ID}}\\t{{.Repository}}:{{.Tag}}', '--filter', 'reference=tiny:1'),
    `IMAGE ID      REPOSITORY:TAG\n${ids.tiny}  tiny:1\n`,
  );
  const columns = `IMAGE ID      REFERENCE  SIZE\n${ids.tiny}  tiny:1     62 B\n`;
  t.is(await done('images', '--format', 'id,reference,size', '--filter', 'reference=tiny:1'), columns);
  t.is(await done('images', '--format', 'table ID, Reference, Size', '--filter', 'reference=tiny:1'), columns);
  t.is(await done('images', '--format', '{{.ID}}', '--no-trunc', '--filter', 'reference=tiny:1'), `${id}\n`);
  t.regex(await done('images', '--no-trunc'), new RegExp(` ${id} `));
  t.regex(await done('images', '--tree', '--no-trunc'), new RegExp(`^IMAGE ID {65}SIZE .*\\n${id} `));
});

test('csv has whole ids, bytes and times in UTC, and json is that of --json', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  await done('untag', 'twice:1');
  const [header, first] = (await done('images', '--format', 'csv')).split('\n');
  t.is(header, 'reference,id,digest,platform,created,size');
  t.regex(first ?? '', new RegExp(`^,sha256:${ids.twice}[0-9a-f]+,,linux/amd64,2024-04-01T00:00:00Z,90$`));
  const chosen = await done('images', '--format', 'csv tag,createdsince,os', '--filter', 'reference=tiny');
  t.is(chosen, 'tag,createdSince,os\n1,2 years ago,linux\n');
  t.is(await done('images', '--format', 'json'), await done('images', '--json'));
  t.is(await done('images', '--json', '--format', 'table'), await done('images'));
});

test('what a config says is escaped in every format', async (t) => {
  const session = await startSession(t);
  await withImages(session, 1, () => 'a:1', { os: '=li\u001b[31m"x\n' });
  t.is(await session.done('images', '--format', '{{.OS}}'), '=li\\u001b[31m"x\\u000a\n');
  t.is(await session.done('images', '--format', 'csv os'), 'os\n"\'=li\\u001b[31m""x\\u000a"\n');
  t.is(await session.done('images', '--format', 'os'), 'OS\n=li\\u001b[31m"x\\u000a\n');
  t.like(objectsOf(await session.done('images', '--format', '{{json .}}'))[0], { OS: '=li\u001b[31m"x\n' });
});

test('a wrong format, order or combination is a usage error that names what is right', async (t) => {
  const { run } = await startSession(t);
  for (const [argv, message] of [
    [['--format', ''], /expected columns, as id,reference, or a template, as \{\{\.ID\}\}/],
    [['--format', 'id,colour'], /no column colour: the columns are id, repository, tag, .*, type\./],
    [['--format', '{{.Colour}}'], /no field Colour: the fields are ID, Repository, Tag, .*, Type\./],
    [['--format', 'csv {{.ID}}'], /no column \{\{\.ID\}\}/],
    [['--format', '{{if .ID}}x{{end}}'], /\{\{if \.ID\}\} is not understood, only \{\{\.Field\}\}/],
    [['--format', '{{truncate .ID}}'], /is not understood/],
    [['--format', '{{lower .}}'], /is not understood/],
    [['--format', '{{.ID'], /a \{\{ has no \}\}/],
    [['--sort', 'colour'], /It must be created, size, name, id/],
    [['--sort', '-size:asc'], /It must be created/],
    [['--tree', '--format', 'json'], /a tree has no --format/],
    [['--digests', '--format', 'csv'], /--digests is for the table/],
  ] as const) {
    const { code, stdout, stderr } = await run('images', ...argv);
    t.like({ code, stdout }, { code: 2, stdout: '' }, argv.join(' '));
    t.regex(stderr, message);
  }
});

test('--sort orders by age, size, name or id, both ways, and rows of a table by their own names', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  await done('untag', 'twice:1');
  const shown = async (...argv: string[]): Promise<string[]> =>
    (await done('images', '--quiet', ...argv))
      .trim()
      .split('\n')
      .map((id) => id.slice(7, 19));
  const newest = await shown();
  t.deepEqual(await shown('--sort', '-created'), newest);
  t.deepEqual(await shown('--sort', 'created'), [...newest].reverse());
  t.deepEqual(await shown('--sort', 'id'), [...newest].sort());
  t.deepEqual(await shown('--sort', 'id:desc'), [...newest].sort().reverse());
  t.deepEqual(await shown('--sort', 'size:desc'), [ids.appOne, ids.appTwo, ids.tinyLib, ids.twice, ids.tiny]);
  t.deepEqual(await shown('--sort', 'name'), [ids.appOne, ids.appTwo, ids.tinyLib, ids.tiny, ids.twice]);
  t.is(
    await done('images', '--format', '{{.Reference}}', '--sort', 'name:asc'),
    'registry.example.com:5000/shop/app:latest\nshop/app:1.0\nshop/app:2.0\nshop/app:latest\ntiny-lib:1\ntiny:1\n<none>\n',
  );
  t.deepEqual(
    objectsOf(await done('images', '--json', '--sort', '-name')).map(({ id }) => String(id).slice(7, 19)),
    [ids.twice, ids.tiny, ids.tinyLib, ids.appTwo, ids.appOne],
  );
});

test('--digests shows what each name stands for, and fits 80 and 140 columns', async (t) => {
  const { done, runIn } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const target = objectsOf(await done('inspect', '--json', 'tiny:1'))[0]?.['target'] as { digest: string };
  t.regex(await done('images', '--digests'), new RegExp(`\\ntiny:1 +${target.digest} +${ids.tiny} `));
  const narrow = (await runIn({ columns: 80 }, '--no-color', 'images', '--digests')).stdout.trimEnd().split('\n');
  const wide = (await runIn({ columns: 140 }, '--no-color', 'images', '--digests')).stdout.trimEnd().split('\n');
  for (const line of narrow) t.true(line.length <= 80, line);
  for (const line of wide) t.true(line.length <= 140, line);
  t.regex(narrow[1] ?? '', /^twice:1 +sha256:8a09a4d9c04c[0-9a-f]*… +6351c87e3f65/);
  t.true(wide.some((line) => line.includes('registry.example.com:5000/shop/app:latest')));
  const whole = (await runIn({ columns: 80 }, '--no-color', 'images', '--digests', '--no-trunc')).stdout.split('\n');
  t.true((whole[1] ?? '').includes(target.digest.slice(0, 7)) && (whole[1] ?? '').length > 160);
});

test('-a adds artifacts to every format', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('oci-multi-platform.tar'));
  const kinds = (await done('images', '-a', '--format', '{{.Kind}}')).trim().split('\n');
  const all = objectsOf(await done('images', '--all', '--json'));
  t.deepEqual([...new Set(kinds)].sort(), [...new Set(all.map(({ kind }) => String(kind)))].sort());
});

test('a long list is measured by its first rows and all names: no name is cut that a wider column would hold', async (t) => {
  const session = await startSession(t);
  await withImages(session, 300, (at) => (at === 5 ? 'registry.example.com/team/service:v5' : `a:${at}`));
  const lines = (await session.done('images')).trimEnd().split('\n');
  t.is(lines.length, 301);
  const starts = new Set(lines.map((line) => line.search(/ (?:IMAGE ID|[0-9a-f]{12}) /)));
  t.is(starts.size, 1, 'one column from the first line to the last');
  t.true(lines.some((line) => line.startsWith('registry.example.com/team/service:v5  ')));
  const narrow = (await session.runIn({ columns: 40 }, '--no-color', 'images')).stdout.trimEnd().split('\n');
  t.true(narrow.every((line) => line.length <= 40));
  const gone = { after: 1, error: Object.assign(new Error('gone'), { code: 'EPIPE' }) };
  t.like(await session.runIn({ breaks: gone }, 'images'), { code: 0, stderr: '' }, 'as of | head -1');
  t.like(await session.runIn({ breaks: gone }, 'images', '--json'), { code: 0, stderr: '' });
});

test('ages have the words of docker', (t) => {
  const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
  for (const [age, words] of [
    [-5 * second, 'Less than a second'],
    [999, 'Less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [minute, 'About a minute'],
    [59.9 * minute, '59 minutes'],
    [hour, 'About an hour'],
    [1.6 * hour, '2 hours'],
    [47 * hour, '47 hours'],
    [2 * day, '2 days'],
    [13 * day, '13 days'],
    [14 * day, '2 weeks'],
    [59 * day, '8 weeks'],
    [60 * day, '2 months'],
    [729 * day, '24 months'],
    [730 * day, '2 years'],
  ] as const) {
    t.is(agoText(age), words);
  }
});

test('ls, rmi and version are what docker calls them', async (t) => {
  const { done, run, runIn } = await startSession(t);
  t.regex(await done('version'), /^imagelog {2}\d+\.\d+\.\d+\nnode {6}v\d.*\nformat .*\nstore .*\(not there\)\n$/);
  t.is(await done('version', '--quiet'), await done('--version'));
  await done('load', archive('docker25-all.tar'));
  t.is(await done('ls'), await done('images'));
  t.is(await done('at', 'now', 'ls', '-q'), await done('images', '-q'));
  t.regex(await done('help', 'ls'), /^Usage: imagelog images\|ls /);
  t.regex(await done('rmi', 'twice:1'), /^untagged twice:1\ndeleted sha256:6351c87e3f65/);
  const [there] = objectsOf(await done('version', '--json'));
  t.like(there, { node: process.version, storeFormat: 4, store: { exists: true, format: 3, problem: null } });
  const { stdout } = await runIn({ env: { IMAGELOG_STORE: '/dev/null' } }, 'version');
  t.regex(stdout, /\(/);
  t.is((await run('help', 'rmx')).code, 2);
});
