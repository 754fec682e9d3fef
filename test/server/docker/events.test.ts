import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { archiveBytes } from '../../store/fixture-archives.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { openTestStore } from '../../support/test-store.js';
import { Engine, filters, lines } from './engine.js';

interface EngineEvent {
  readonly status?: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly time: number;
}

const START = Date.UTC(2026, 0, 1);

/** An engine whose store has the time of `clock`. */
async function clocked(t: ExecutionContext): Promise<{ engine: Engine; clock: { ms: number } }> {
  const clock = { ms: START };
  const engine = await Engine.start(t, { open: { now: () => clock.ms } });
  return { engine, clock };
}

async function replay(engine: Engine, query: string): Promise<EngineEvent[]> {
  const { status, headers, text } = await engine.send('GET', `/events?${query}`);
  if (status !== 200 || headers['content-type'] !== 'application/json') throw new Error(`${status} ${text}`);
  return lines(text);
}

function told(events: readonly EngineEvent[]): string[] {
  return events.map(({ Action, Actor }) => `${Action} ${Actor.Attributes.name}`);
}

/** Nanoseconds of each event, which JSON.parse would round. */
async function nanosOf(engine: Engine, query: string): Promise<bigint[]> {
  const { text } = await engine.send('GET', `/events?${query}`);
  return [...text.matchAll(/"timeNano":(\d+)/g)].map(([, digits = '']) => BigInt(digits));
}

const END = 'until=2026-02-01';

test('all events of images are replayed in order, tags of a load by their names', async (t) => {
  const { engine } = await clocked(t);
  await engine.load(archiveBytes('skopeo-tiny-1.tar'));
  const id = engine.store.resolve('tiny:1');
  await engine.send('POST', '/images/tiny:1/tag?repo=dn/a&tag=1');
  await engine.send('DELETE', '/images/dn/a:1');
  await engine.send('DELETE', '/images/tiny:1');
  const expected = [`load ${id}`, 'tag tiny:1', 'tag dn/a:1', 'untag dn/a:1', 'untag tiny:1', `delete ${id}`];
  t.deepEqual(told(await replay(engine, `since=0&${END}`)), expected);
  // An end without a beginning is for all.
  t.deepEqual(told(await replay(engine, END)), expected);
});

test('events have their labels, also once the image is deleted', async (t) => {
  const { engine } = await clocked(t);
  const id = await engine.store.create(imageConfig('labelled'));
  await engine.store.tag({ source: id, target: 'x:1' });
  await engine.store.delete(id);
  const events = await replay(engine, `since=0&${END}`);
  t.deepEqual(
    events.map(({ Action, Actor }) => [Action, Actor.Attributes]),
    [
      // The label `name` of this image gives way to the name.
      ['load', { name: id }],
      ['tag', { name: 'x:1' }],
      ['untag', { name: 'x:1' }],
      ['delete', { name: id }],
    ],
  );
  await engine.load(archiveBytes('docker20-all.tar'));
  await engine.send('DELETE', '/images/shop/app:2.0');
  const label = filters({ label: ['org.opencontainers.image.version=2.0'] });
  const labelled = told(await replay(engine, `since=0&${END}&${label}`));
  t.deepEqual(
    labelled.map((text) => text.replace(/sha256:\w+/, 'ID')),
    ['load ID', 'tag shop/app:2.0', 'untag shop/app:2.0'],
  );
});

test('an import, a pull and a load are told apart', async (t) => {
  const { engine } = await clocked(t);
  await engine.store.create(imageConfig('one'), { via: 'docker', reason: 'docker import' });
  await engine.store.create(imageConfig('two'), { via: 'mirror' });
  await engine.store.create(imageConfig('three'));
  t.deepEqual(told(await replay(engine, `since=0&${END}`)), [
    `import ${idNamed('one')}`,
    `pull ${idNamed('two')}`,
    `load ${idNamed('three')}`,
  ]);
});

test('the times of one millisecond keep the order of their events, from wherever one begins', async (t) => {
  const { engine, clock } = await clocked(t);
  for (const name of ['a', 'b', 'c']) await engine.store.create(imageConfig(name));
  clock.ms += 1;
  await engine.store.create(imageConfig('d'));
  const start = BigInt(START) * 1_000_000n;
  const all = await nanosOf(engine, `since=0&${END}`);
  t.deepEqual(all, [start, start + 1n, start + 2n, start + 1_000_000n]);
  // From the second event on, by its own time.
  const since = `${START / 1_000}.000000001`;
  t.deepEqual(await nanosOf(engine, `since=${since}&${END}`), all.slice(1));
  t.deepEqual(await nanosOf(engine, `since=0&until=${since}`), all.slice(0, 2));
  t.deepEqual(await nanosOf(engine, `since=2026-01-01T00:00:00.001Z&${END}`), all.slice(3));
  t.deepEqual(await nanosOf(engine, `since=2026-01-02&${END}`), []);
});

const FILTERS: readonly (readonly [wanted: Readonly<Record<string, readonly string[]>>, found: readonly string[]])[] = [
  [{ event: ['untag'] }, ['untag a:1']],
  [{ event: ['tag', 'untag'] }, ['tag a:1', 'tag dn/b:2', 'untag a:1']],
  [{ type: ['image'], event: ['tag'] }, ['tag a:1', 'tag dn/b:2']],
  [{ type: ['container'] }, []],
  [{ container: ['x'] }, []],
  [{ scope: ['swarm'] }, []],
  [{ image: ['dn/b'] }, ['tag dn/b:2']],
  [{ image: ['a:1'] }, ['tag a:1', 'untag a:1']],
  [{ image: [idNamed('x')], event: ['tag'] }, ['tag a:1', 'tag dn/b:2']],
  [{ label: ['name=a:1'] }, ['tag a:1', 'untag a:1']],
  [{ bogus: ['1'], event: ['untag'] }, ['untag a:1']],
];

for (const [wanted, found] of FILTERS) {
  test(`the filter ${JSON.stringify(wanted)} passes ${found.join(', ') || 'nothing'}`, async (t) => {
    const { engine } = await clocked(t);
    const id = await engine.store.create(imageConfig('x'));
    for (const target of ['a:1', 'dn/b:2']) await engine.store.tag({ source: id, target });
    await engine.store.untag('a:1');
    const lists = `filters=${encodeURIComponent(JSON.stringify(wanted))}`;
    for (const query of [filters(wanted), lists]) {
      t.deepEqual(told(await replay(engine, `since=0&${END}&${query}`)), [...found]);
    }
  });
}

/** Reads events as they come. */
async function follow(t: ExecutionContext, engine: Engine, query: string): Promise<() => Promise<string | undefined>> {
  const answer = await engine.begin('GET', `/events?${query}`);
  t.teardown(() => answer.destroy());
  answer.on('error', () => undefined);
  const events = createInterface({ input: answer })[Symbol.asyncIterator]();
  return async () => {
    const { done, value } = await events.next();
    return done === true ? undefined : told([JSON.parse(value) as EngineEvent])[0];
  };
}

test('new events come as they happen, after those since a time', async (t) => {
  const engine = await Engine.start(t);
  const id = await engine.store.create(imageConfig('x'));
  await engine.store.tag({ source: id, target: 'before:1' });
  const [live, all] = [await follow(t, engine, ''), await follow(t, engine, 'since=10m')];
  await engine.store.tag({ source: id, target: 'after:1' });
  t.is(await live(), 'tag after:1');
  t.deepEqual([await all(), await all(), await all()], [`load ${id}`, 'tag before:1', 'tag after:1']);
});

test('an end in the future is waited for', async (t) => {
  const engine = await Engine.start(t);
  const id = await engine.store.create(imageConfig('x'));
  const until = Date.now() + 400;
  const next = await follow(t, engine, `since=0&until=${(until / 1_000).toFixed(3)}`);
  await engine.store.tag({ source: id, target: 'after:1' });
  t.deepEqual([await next(), await next(), await next()], [`load ${id}`, 'tag after:1', undefined]);
  t.true(Date.now() >= until);
});

test('what is being written when the end comes is there, as in a later replay', async (t) => {
  const engine = await Engine.start(t);
  const id = await engine.store.create(imageConfig('x'));
  const until = Date.now() + 150;
  const query = `since=0&until=${(until / 1_000).toFixed(3)}`;
  const followed = replay(engine, query);
  for (let at = 0; Date.now() <= until + 20; at += 1) {
    await Promise.all(['a', 'b', 'c'].map((name) => engine.store.tag({ source: id, target: `${name}:${at}` })));
  }
  t.deepEqual(told(await followed), told(await replay(engine, query)));
});

test('a server that stops ends them', async (t) => {
  const engine = await Engine.start(t);
  const next = await follow(t, engine, '');
  const ended = next();
  t.is(await engine.stop(), 0);
  t.is(await ended, undefined);
});

test('a server of the past ends them by itself', async (t) => {
  const store = await openTestStore(t, { onNotice: () => undefined });
  const id = await store.create(imageConfig('x'));
  await store.tag({ source: id, target: 'then:1' });
  const past = await Engine.start(t, { store, server: { at: store.log.head.seq } });
  await store.tag({ source: id, target: 'now:1' });
  t.deepEqual(told(await replay(past, 'since=0')), [`load ${id}`, 'tag then:1']);
  t.deepEqual(told(await replay(past, '')), []);
});

test('a client that leaves ends its events', async (t) => {
  const engine = await Engine.start(t);
  const answer = await engine.begin('GET', '/events');
  answer.on('error', () => undefined);
  answer.destroy();
  await once(answer, 'close');
  await engine.store.create(imageConfig('x'));
  t.is((await engine.send('GET', '/_ping')).text, 'OK');
});

test('the former fields of an event are there, and times that cannot be read are refused', async (t) => {
  const { engine } = await clocked(t);
  const id = await engine.store.create(imageConfig('x'));
  const [event] = await replay(engine, `since=0&${END}`);
  t.like(event, { status: 'load', id, Type: 'image', scope: 'local', time: START / 1_000 });
  for (const query of [
    'since=yesterday',
    'until=2026-13-01',
    'since=1x',
    'filters=x',
    'since=2&until=1',
    'since=2026-02-30',
  ]) {
    t.is((await engine.send('GET', `/events?${query}`)).status, 400, query);
  }
});
