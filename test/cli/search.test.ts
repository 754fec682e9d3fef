import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { Output } from '../../src/cli/output.js';
import { createColors } from '../../src/cli/render/text.js';
import { ScanNotice, scanText } from '../../src/cli/event-selection.js';
import type { Head } from '../../src/log/log.js';
import type { ImageId } from '../../src/model/digest.js';
import { openStore } from '../../src/store/open/open-store.js';
import { liveLog } from '../store/read/live-log.js';
import { idNamed } from '../support/image-configs.js';
import { archive, ids, objectsOf, type Ran, type Session, startSession } from './session.js';

const HOUR_MS = 3_600_000;
const plain = { NO_COLOR: '1' };

/** Events 28 to 32: two names of production, one of which was removed. */
async function production({ done, wait }: Session): Promise<void> {
  const tag = (...argv: string[]): Promise<string> => done('tag', '--quiet', ...argv);
  await done('load', '--quiet', archive('docker25-all.tar'));
  await tag('--actor', 'bob', '--reason', 'release 1.0', '--request-id', 'REL-1', 'shop/app:1.0', 'shop/app:prod');
  wait(HOUR_MS);
  await tag('--actor', 'ann', 'tiny:1', 'shop/db:prod');
  wait(HOUR_MS);
  const why = 'release 2.0, with the new cart';
  await tag('--actor', 'bob', '--reason', why, '--request-id', 'REL-2', 'shop/app:2.0', 'shop/app:prod');
  wait(HOUR_MS);
  await done('untag', '--quiet', '--actor', 'eve', '--reason', 'moved', '--request-id', 'INC-77', 'shop/db:prod');
  wait(HOUR_MS);
  const back = 'Roll back: CART loses orders';
  await tag('--actor', 'ann', '--reason', back, '--request-id', 'INC-77', 'shop/app:1.0', 'shop/app:prod');
  wait(HOUR_MS);
}

test('log chooses by patterns of references, request ids and words of reasons, several at once', async (t) => {
  const session = await startSession(t);
  await production(session);
  const seqs = async (...argv: string[]): Promise<unknown[]> =>
    objectsOf(await session.done('log', '--json', ...argv)).map(({ seq }) => seq);
  t.deepEqual(await seqs('--reference', '*:prod'), [28, 29, 30, 31, 32]);
  t.deepEqual(await seqs('--reference', 'shop/db*'), [29, 31]);
  t.deepEqual(await seqs('--reference', 'shop/db:prod', '--reference', 't?ny:1'), [21, 29, 31]);
  t.deepEqual(await seqs('--reference', '*:prod', '--actor', 'ann', '--actor', 'eve'), [29, 31, 32]);
  t.deepEqual(await seqs('--reference', '*:prod', '--reverse', '--limit', '2'), [32, 31]);
  t.deepEqual(await seqs('--request', 'INC-77'), [31, 32]);
  t.deepEqual(await seqs('--request', 'INC-77', '--request', 'REL-1'), [28, 31, 32]);
  t.deepEqual(await seqs('--request', 'INC-77', '--type', 'ReferenceRemoved'), [31]);
  t.deepEqual(await seqs('--request', 'INC-77', '--from', '32'), [32]);
  t.deepEqual(await seqs('--grep', 'cart'), [30, 32]);
  t.deepEqual(await seqs('--grep', 'roll back', '--grep', 'RELEASE 1'), [28, 32]);
  t.deepEqual(await seqs('--grep', 'cart', '--request', 'REL-2'), [30]);
  t.deepEqual(await seqs('--grep', 'nobody wrote this'), []);
  t.deepEqual(await seqs('--image', ids.appOne, '--image', ids.tiny, '--reference', '*:prod'), [28, 29, 30, 31, 32]);
  t.deepEqual(await seqs('--at', '31', '--request', 'INC-77'), [31]);
});

test('log of a pattern or a request id that never was is an error', async (t) => {
  const session = await startSession(t);
  await production(session);
  for (const [argv, message] of [
    [
      ['--reference', '*:prdo'],
      /no event is about a reference like \*:prdo \(SUBJECT_NOT_FOUND\)\nhint: `imagelog images`/,
    ],
    [['--reference', '*:prod', '--reference', '*:prdo'], /like \*:prdo/],
    [['--request', 'INC-78'], /no event has the request id INC-78 \(SUBJECT_NOT_FOUND\)\nhint: /],
    [['--request', 'INC-77', '--request', 'INC-78'], /request id INC-78/],
  ] as const) {
    const { code, stdout, stderr } = await session.run('log', ...argv);
    t.deepEqual({ code, stdout }, { code: 3, stdout: '' }, argv.join(' '));
    t.regex(stderr, message);
  }
  for (const pattern of ['shop/[', '[z-a]', 'a b']) {
    for (const argv of [
      ['log', '--reference', pattern],
      ['refs', pattern],
    ]) {
      t.like(await session.run(...argv), { code: 2, stdout: '' }, argv.join(' '));
    }
  }
});

test('refs of a pattern is every image that was ever there, also of names that were removed', async (t) => {
  const session = await startSession(t);
  await production(session);
  t.is(
    await session.done('refs', '*:prod'),
    `REFERENCE      IMAGE         SINCE (UTC)       FOR  BY   WHY                                       EVENT
shop/app:prod  bb0c8ffbd8b1  2026-01-31 16:00  1 h  ann  “Roll back: CART loses orders” (INC-77)     #32
shop/app:prod  cb4c372bec4c  2026-01-31 14:00  2 h  bob  “release 2.0, with the new cart” (REL-2)    #30
shop/app:prod  bb0c8ffbd8b1  2026-01-31 12:00  2 h  bob  “release 1.0” (REL-1)                       #28
shop/db:prod   removed       2026-01-31 15:00  2 h  eve  “moved” (INC-77)                            #31
shop/db:prod   bd10de19d2be  2026-01-31 13:00  2 h  ann                                              #29
`,
  );
  const { stdout } = await session.runIn({ columns: 80, env: plain }, 'refs', 'shop/db*', 'shop/app:prod');
  t.is(
    stdout,
    `REFERENCE      IMAGE         SINCE (UTC)       FOR  BY
shop/db:prod   removed       2026-01-31 15:00  2 h  eve
  “moved” (INC-77)
shop/db:prod   bd10de19d2be  2026-01-31 13:00  2 h  ann
shop/app:prod  bb0c8ffbd8b1  2026-01-31 16:00  1 h  ann
  “Roll back: CART loses orders” (INC-77)
shop/app:prod  cb4c372bec4c  2026-01-31 14:00  2 h  bob
  “release 2.0, with the new cart” (REL-2)
shop/app:prod  bb0c8ffbd8b1  2026-01-31 12:00  2 h  bob
  “release 1.0” (REL-1)
`,
  );
  for (const columns of [40, 60]) {
    const narrow = await session.runIn({ columns, env: plain }, 'refs', '*:prod');
    t.true(
      narrow.stdout.split('\n').every((line) => line.length <= Math.max(columns, 53)),
      narrow.stdout,
    );
  }
  t.regex(await session.done('refs', '--at', '30', '*:prod'), /^shop\/db:prod +bd10de19d2be .*#29\n$/m);
  t.like(await session.run('refs', '--at', '27', '*:prod'), { code: 3, stdout: '' });
  const never = await session.run('refs', 'shop/app:prod', '*:prdo');
  t.like(never, { code: 3, stdout: '' });
  t.regex(
    never.stderr,
    /no reference ever matched \*:prdo \(REFERENCE_NOT_FOUND\)\nhint: `imagelog images` lists the names/,
  );
});

test('refs gives the periods of several references as JSON and CSV', async (t) => {
  const session = await startSession(t);
  await production(session);
  const periods = objectsOf(await session.done('refs', '--json', '*:prod', 'shop/app:prod'));
  t.deepEqual(
    periods.map(({ reference, seq, untilSeq, removedBy, removedRequestId }) => [
      reference,
      seq,
      untilSeq,
      removedBy,
      removedRequestId,
    ]),
    [
      ['docker.io/shop/app:prod', 28, 30, null, null],
      ['docker.io/shop/app:prod', 30, 32, null, null],
      ['docker.io/shop/app:prod', 32, null, null, null],
      ['docker.io/shop/db:prod', 29, 31, 'eve', 'INC-77'],
    ],
  );
  const rows = (await session.done('refs', '--format', 'csv', 'shop/*:prod')).trimEnd().split('\n');
  t.is(rows.length, 5);
  t.true(rows[0]?.startsWith('reference,image,from,until,actor,reason,requestId,seq,untilSeq,removedBy'));
  t.regex(
    rows[2] ?? '',
    /^docker\.io\/shop\/app:prod,sha256:cb4c\w+,2026-01-31T14:00:00\.000Z,2026-01-31T16:00:00\.000Z,bob,"release 2\.0, with the new cart",REL-2,30,32,,/,
  );
  await session.done('load', '--quiet', archive('oci-multi-platform.tar'));
  t.regex(
    await session.done('refs', '--format', 'csv', 'tiny:multi'),
    /,linux\/amd64 sha256:bd10\w+; linux\/arm64\/v8 sha256:ea3a/,
  );
});

test('diff has CSV', async (t) => {
  const session = await startSession(t);
  await production(session);
  const changes = (await session.done('diff', '27', '32', '--format', 'csv')).trimEnd().split('\n');
  t.deepEqual(
    [changes.length, changes[0], changes[1]?.replace(/"\{.*\}"/, '')],
    [
      2,
      'kind,change,key,before,after,seq,time,actor,reason,requestId',
      'reference,added,docker.io/shop/app:prod,,,32,2026-01-31T16:00:00.000Z,ann,Roll back: CART loses orders,INC-77',
    ],
  );
  t.is(objectsOf(await session.done('diff', '27', '--format', 'json')).length, 1);
});

test('log --consumer is what a consumer has not acknowledged, by its own filter', async (t) => {
  const session = await startSession(t);
  await production(session);
  const store = await openStore(session.store);
  const consumer = store.consumer('mirror@1', { filter: { reference: '*:prod', actor: ['ann', 'bob'] } });
  for await (const event of consumer) {
    await consumer.ack(event);
    break;
  }
  await consumer.close();
  await store.close();
  const owed = (ran: Ran | string): unknown[] =>
    objectsOf(typeof ran === 'string' ? ran : ran.stdout).map(({ seq }) => seq);
  t.deepEqual(owed(await session.done('log', '--consumer', 'mirror@1', '--json')), [29, 30, 32]);
  t.like(objectsOf(await session.done('consumers', '--json')), [
    { name: 'mirror@1', position: 28, behind: 3, filter: { reference: '*:prod', actor: ['ann', 'bob'] } },
  ]);
  t.deepEqual(owed(await session.done('log', '--consumer', 'mirror@1', '--json', '--reverse', '--limit', '1')), [32]);
  const { stderr } = await session.runIn({ columns: 80, env: plain }, 'log', '--consumer', 'mirror@1');
  t.is(stderr, 'what mirror@1 has not acknowledged: it is at event 28\n');
  await session.done('consumers', 'reset', 'mirror@1', '--to', 'now');
  t.deepEqual(owed(await session.done('log', '--consumer', 'mirror@1', '--json')), []);
  const unknown = await session.run('log', '--consumer', 'nobody');
  t.is(unknown.code, 3);
  t.regex(unknown.stderr, /there is no consumer nobody \(CONSUMER_NOT_FOUND\)/);
  for (const flags of [
    ['--actor', 'ann'],
    ['--follow'],
    ['--grep', 'x'],
    ['--from', '1'],
    ['--type', 'ReferenceSet'],
  ]) {
    const { code, stderr: why } = await session.run('log', '--consumer', 'mirror@1', ...flags);
    t.is(code, 2, flags.join(' '));
    t.regex(why, new RegExp(`so it cannot be combined with ${flags[0]}\\n`));
  }
});

test('log --follow waits for a pattern of names that do not exist yet', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const following = session.run('log', '--follow', '--from', '1', '--limit', '1', '--json', '--reference', 'new/*');
  await session.done('tag', '--quiet', 'tiny:1', 'old/app:1');
  await session.done('tag', '--quiet', 'tiny:1', 'new/app:1');
  const { code, stdout } = await following;
  t.is(code, 0);
  t.like(objectsOf(stdout), [{ seq: 5, reference: 'docker.io/new/app:1' }]);
});

test('a notice names what no index has, with the number of events that are read', async (t) => {
  const { reader, append } = await liveLog(t);
  for (let at = 0; at < 1_200; at++) await append({ type: 'ParentSet', image: idNamed('a'), parent: idNamed('b') });
  const text = (filter: Parameters<typeof scanText>[1]['filter'], from?: number): string | undefined =>
    scanText(reader, { filter, from })?.line;
  t.is(text({ requestId: 'x' }), 'reading all 1,200 events: no index has request ids');
  t.is(
    text({ requestId: 'x', reasonIncludes: 'y' }, 201),
    'reading 1,000 events: no index has request ids or the words of reasons',
  );
  t.is(text({ via: 'x' }), 'reading all 1,200 events: no index has what events came through');
  t.is(text({ type: 'ParentSet' }, 1_200), 'reading 1 event: no index has types of events');
  t.is(text({ requestId: 'x', actor: 'tester' }), undefined);
  t.is(text({ reference: '*' }), undefined);
  t.is(text({}), undefined);
});

test('a notice of a read without an index comes at once on a terminal when it is large, else when it takes long, and once', async (t) => {
  const long = { explain: () => ({ by: 'scan', events: 20_000 }) as const, head: { seq: 20_000 } as Head };
  const short = { explain: () => ({ by: 'scan', events: 200 }) as const, head: { seq: 20_000 } as Head };
  const indexed = { explain: () => ({ by: 'index' }) as const, head: { seq: 20_000 } as Head };
  const options = { filter: { requestId: 'x' } };
  const line = 'reading all 20,000 events: no index has request ids\n';
  const said = async (
    isTTY: boolean,
    log: typeof long | typeof short | typeof indexed,
    longMs?: number,
  ): Promise<string> => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const streams = [Object.assign(stdout, { isTTY, columns: 80 }), Object.assign(stderr, { isTTY, columns: 80 })];
    const [out, err] = streams.map((stream) => new Output(stream)) as [Output, Output];
    const notice = new ScanNotice({ out, err, errColors: createColors(false), json: false, quiet: false }, longMs);
    const act = (): Promise<string> => delay(longMs === 1 ? 30 : 0, 'done');
    t.is(await notice.during(log, options, act), 'done');
    t.is(await notice.during(log, options, act), 'done');
    return String(stderr.read() ?? '');
  };
  t.is(await said(true, long), line);
  t.is(await said(false, long), '');
  t.is(await said(false, long, 1), line);
  t.is(await said(true, short), '');
  t.is(await said(true, short, 1), 'reading 200 events: no index has request ids\n');
  t.is(await said(true, indexed, 1), '');
});

test('log by request id on a terminal says that it reads every event of a large store', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const store = await openStore(session.store);
  const [id] = [...store.map().keys()] as [ImageId];
  await Promise.all(Array.from({ length: 10_000 }, () => store.setMetadata(id, 'k', new Uint8Array(1))));
  await store.tag({ source: id, target: 'x:1' }, { requestId: 'INC-1' });
  await store.close();
  const find = (...argv: string[]): Promise<Ran> =>
    session.runIn({ columns: 80, env: plain }, 'log', '--request', 'INC-1', ...argv);
  t.is((await find()).stderr, 'reading all 10,004 events: no index has request ids\n');
  t.is((await find('--reference', 'x*')).stderr, 'reading all 10,004 events: no index has request ids\n');
  t.is((await session.runIn({ columns: 80, env: plain }, 'log', '--reference', 'x*')).stderr, '');
});
