import test, { type ExecutionContext } from 'ava';
import { printable } from '../../src/model/texts.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, objectsOf, type Session, SESSION_START, startSession } from './session.js';

/* From where and how events came, in the outputs of the command line. */

const HOUR_MS = 3_600_000;
const PLAIN = { NO_COLOR: '1' };
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const ROUTE = { via: 'registry', address: '192.0.2.7', agent: 'docker/27', traceparent: TRACEPARENT };

/** A name that was pushed, removed over HTTP, set by hand, and pushed again for a reason. */
async function pushes(t: ExecutionContext): Promise<Session> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  let time = SESSION_START;
  const now = (): number => (time += HOUR_MS);
  const onNotice = (): void => undefined;
  await using store = await openStore(session.store, { now, actor: 'ci', onNotice });
  const source = store.resolve('tiny:1');
  await store.tag({ source, target: 'shop/app:prod' }, ROUTE);
  await store.untag('shop/app:prod', { via: 'http', address: '2001:db8::1', actor: 'ann' });
  await store.tag({ source, target: 'shop/app:prod' }, { actor: 'ann' });
  await store.untag('shop/app:prod', { actor: 'ann', via: 'mirror' });
  await store.tag({ source, target: 'shop/app:prod' }, { ...ROUTE, reason: 'release', requestId: 'R-1' });
  session.wait(6 * HOUR_MS);
  return session;
}

test('log says after what was done through what it came and from where, in each form', async (t) => {
  const { done, runIn } = await pushes(t);
  t.is(
    (await runIn({ columns: 80, env: PLAIN }, 'log', '--from', '4')).stdout,
    `SEQ  TIME (UTC)           WHAT
  4  2026-01-31 13:00:00  tag shop/app:prod → bd10de19d2be  by ci
     via registry from 192.0.2.7
  5  2026-01-31 14:00:00  untag shop/app:prod (was bd10de19d2be)  by ann
     via http from 2001:db8::1
  6  2026-01-31 15:00:00  tag shop/app:prod → bd10de19d2be  by ann
  7  2026-01-31 16:00:00  untag shop/app:prod (was bd10de19d2be)  by ann
     via mirror
  8  2026-01-31 17:00:00  tag shop/app:prod → bd10de19d2be  by ci  “release”
     (R-1)  via registry from 192.0.2.7
`,
  );
  t.regex(
    await done('log', '--events', '--from', '4', '--to', '4'),
    /→ bd10de19d2be {2}via registry from 192\.0\.2\.7\n$/,
  );
  t.regex(await done('log', '--oneline', '--from', '8'), / “release” \(R-1\) via registry from 192\.0\.2\.7\n$/);
});

test('log --via has the events of one way, or of several', async (t) => {
  const { done, run } = await pushes(t);
  const seqs = async (...argv: string[]): Promise<unknown[]> =>
    objectsOf(await done('log', '--json', ...argv)).map(({ seq }) => seq);
  t.deepEqual(await seqs('--via', 'registry'), [4, 8]);
  t.deepEqual(await seqs('--via', 'http', '--via', 'mirror'), [5, 7]);
  t.deepEqual(await seqs('--via', 'registry', '--reference', 'shop/app:prod', '--grep', 'release'), [8]);
  t.deepEqual(await seqs('--via', 'smoke'), []);
  t.is((await run('log', '--via', '')).code, 2);
  const { code, stderr } = await run('log', '--consumer', 'c@1', '--via', 'http');
  t.is(code, 2);
  t.regex(stderr, /cannot be combined with --via/);
});

test('JSON, CloudEvents and CSV have the fields that are set', async (t) => {
  const { done } = await pushes(t);
  const [, removed, plain] = objectsOf(await done('log', '--json', '--from', '4'));
  t.like(removed, { via: 'http', address: '2001:db8::1' });
  t.deepEqual(
    ['via', 'address', 'agent', 'traceparent'].filter((name) => name in (plain ?? {})),
    [],
  );
  const [pushed, other] = objectsOf(await done('log', '--format', 'cloudevents', '--from', '4'));
  t.is(pushed?.['traceparent'], TRACEPARENT);
  t.like(pushed?.['data'], ROUTE);
  t.false('traceparent' in (other ?? {}));
  const [head = '', first = '', , third = ''] = (await done('log', '--format', 'csv', '--from', '4')).split('\n');
  t.true(head.endsWith(',names,clock,what,via,address,agent,traceparent'));
  t.true(first.endsWith(`,registry,192.0.2.7,docker/27,${TRACEPARENT}`));
  t.true(third.endsWith(',shop/app:prod → bd10de19d2be,,,,'));
});

test('refs says how each period began, beside why', async (t) => {
  const { done, runIn } = await pushes(t);
  const refs = (await runIn({ columns: 100, env: PLAIN }, 'refs', 'shop/app:prod')).stdout.split('\n');
  t.is(refs[1], 'since 2026-01-31 17:00 UTC, by ci: “release” (R-1) via registry from 192.0.2.7');
  t.deepEqual(refs.slice(refs.findIndex((line) => line.includes('WHY'))), [
    '  IMAGE         SINCE (UTC)       FOR  BY   WHY                                          EVENT',
    '█ bd10de19d2be  2026-01-31 17:00  1 h  ci   “release” (R-1) via registry from 192.0.2.7     #8',
    '· removed       2026-01-31 16:00  1 h  ann  via mirror                                      #7',
    '█ bd10de19d2be  2026-01-31 15:00  1 h  ann                                                  #6',
    '· removed       2026-01-31 14:00  1 h  ann  via http from 2001:db8::1                       #5',
    '█ bd10de19d2be  2026-01-31 13:00  1 h  ci   via registry from 192.0.2.7                     #4',
    '',
  ]);
  t.regex(await done('refs', '--at', '4', 'shop/app:prod'), /\nsince .* UTC, by ci via registry from 192\.0\.2\.7\n/);
  const wide = (await runIn({ columns: 140, env: PLAIN }, 'refs', 'shop/*')).stdout;
  t.regex(wide, /ann +via http from 2001:db8::1 +#5\n/);
  const narrow = (await runIn({ columns: 80, env: PLAIN }, 'refs', 'shop/*')).stdout;
  t.regex(narrow, / removed .* ann\n {2}via http from 2001:db8::1\n/);
});

test('refs --json and CSV have how each period began and how the name was removed', async (t) => {
  const { done } = await pushes(t);
  const [first, second] = objectsOf(await done('refs', '--json', 'shop/app:prod'));
  t.like(first, { ...ROUTE, removedBy: 'ann', removedVia: 'http', removedAddress: '2001:db8::1' });
  t.false('removedAgent' in (first ?? {}));
  t.false('via' in (second ?? {}));
  const [head = '', row = ''] = (await done('refs', '--format', 'csv', 'shop/app:prod')).split('\n');
  t.regex(head, /,platforms,via,address,agent,traceparent,removedVia,removedAddress,removedAgent,removedTraceparent$/);
  t.true(row.endsWith(`,registry,192.0.2.7,docker/27,${TRACEPARENT},http,2001:db8::1,,`));
});

test('what a client sends is escaped', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const options = { via: 'x\u001b[2J', address: 'a\nb\u202e', agent: '\u200b' };
  {
    await using store = await openStore(session.store, { now: () => SESSION_START, onNotice: () => undefined });
    await store.tag({ source: store.resolve('tiny:1'), target: 'a:1' }, options);
  }
  for (const argv of [['log'], ['log', '--events'], ['log', '--oneline'], ['refs', 'a:1'], ['refs', '*:1']]) {
    const shown = await session.done(...argv);
    t.true(shown.includes('via x\\u001b[2J from a\\u000ab\\u202e'), shown);
    t.is(printable(shown.replaceAll('\n', '')), shown.replaceAll('\n', ''));
  }
});
