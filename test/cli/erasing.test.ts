import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { archive, ids, objectsOf, type Session, startSession } from './session.js';

const DAY_MS = 86_400_000;

/** Loads images, and after a day removes one; resolves with its id. */
async function withRemoved({ done, wait }: Session): Promise<string> {
  await done('load', '--quiet', archive('docker25-all.tar'));
  wait(DAY_MS);
  const [image] = objectsOf(await done('inspect', '--json', 'twice:1'));
  await done('rm', '--quiet', 'twice:1');
  return String(image?.['id']);
}

test('erase says what it removed, and later reads say when, by whom and why', async (t) => {
  const session = await startSession(t);
  const { done, run } = session;
  const id = await withRemoved(session);
  t.is((await run('inspect', '--at', '27', id)).code, 0);
  const said = await done('erase', id, '--reason', 'a password in the labels', '--actor', 'ana');
  t.regex(said, new RegExp(`^erased ${id}, [\\d.]+ k?B \\(event \\d+\\)\\n$`));
  for (const argv of [
    ['inspect', '--at', '27', id],
    ['at', '27', 'inspect', 'twice:1'],
    ['history', '--at', '27', 'twice:1'],
    ['erase', '--reason', 'again', id],
  ]) {
    const { code, stdout, stderr } = await run(...argv);
    t.is(code, 3, argv.join(' '));
    t.is(stdout, '');
    t.regex(
      stderr,
      /was erased at 2026-02-01T12:00:00\.000Z by ana \(event \d+\): a password in the labels \(CONTENT_ERASED\)/,
    );
    t.regex(stderr, /\nhint: /);
  }
  const [event] = objectsOf(await done('log', '--json', '--type', 'ContentErased'));
  t.like(event, { digest: id, actor: 'ana', reason: 'a password in the labels' });
  t.regex(
    await done('log', '--image', id, '--reverse', '--limit', '1'),
    /ContentErased +6351c87e3f65 .*“a password in the labels”/,
  );
});

test('a list of the past has images whose config was erased since', async (t) => {
  const session = await startSession(t);
  const { done } = session;
  const id = await withRemoved(session);
  await done('erase', '--quiet', '--reason', 'r', id);
  t.regex(await done('images', '--at', '27'), /\ntwice:1 +6351c87e3f65 +erased +<none> +-\n/);
  const [erased, ...others] = objectsOf(await done('images', '--json', '--at', '27')).filter(
    (image) => image['erased'],
  );
  t.deepEqual(others, []);
  t.like(erased, { id, os: '', created: null, size: null, references: ['docker.io/library/twice:1'], erased: true });
  t.regex(await done('tree', '--at', '27'), /6351c87e3f65 +- +.*twice:1\n/);
});

test('erase refuses what is in use, what is not there, a digest that is cut short, and no reason', async (t) => {
  const session = await startSession(t);
  const { done, run } = session;
  const id = await withRemoved(session);
  const [live] = objectsOf(await done('inspect', '--json', 'tiny:1'));
  const inUse = await run('erase', '--reason', 'r', String(live?.['id']));
  t.is(inUse.code, 1);
  t.regex(inUse.stderr, /the image sha256:bd10de19d2be\w+ needs it \(CONTENT_IN_USE\)\nhint: /);
  const unknown = await run('erase', '--reason', 'r', `sha256:${'00'.repeat(32)}`);
  t.is(unknown.code, 3);
  t.regex(unknown.stderr, /\(CONTENT_NOT_FOUND\)\nhint: /);
  for (const argv of [
    ['erase', id],
    ['erase', '--reason', ' ', id],
    ['erase', '--reason', 'r', ids.twice],
    ['erase', '--reason', 'r'],
    ['at', '27', 'erase', '--reason', 'r', id],
  ]) {
    t.is((await run(...argv)).code, 2, argv.join(' '));
  }
});

test('erase tells a program what it removed', async (t) => {
  const session = await startSession(t);
  const id = await withRemoved(session);
  const [erased] = objectsOf(await session.done('erase', '--json', '--reason', 'r', id));
  t.like(erased, { erased: id, layers: [] });
  t.true(Number(erased?.['size']) > 100);
});

test('prune shows what it would free and frees nothing, and frees it with --yes', async (t) => {
  const session = await startSession(t);
  const { done, wait } = session;
  t.is(
    await startSession(t)
      .then((empty) => empty.run('prune'))
      .then(({ code }) => code),
    3,
  );
  const id = await withRemoved(session);
  const table = await done('prune');
  t.regex(table, new RegExp(`^KIND +DIGEST +IMAGE +SIZE\\nconfig +${id} +6351c87e3f65 +[\\d.]+ k?B\\n`));
  t.regex(table, /\nwould free [\d.]+ k?B, 1 config(, 1 manifest)?; --yes does it\n$/);
  t.is(await done('prune'), table);
  wait(2 * DAY_MS);
  t.is(await done('prune', '--before', '3d'), 'nothing to prune\n');
  t.is(await done('prune', '--before', '3d', '--yes'), 'nothing to prune\n');
  const freed = await done('prune', '--before', '2d', '--yes');
  t.is(freed, table.replace('would free', 'freed').replace('; --yes does it', ''));
  t.is(await done('prune', '--yes'), 'nothing to prune\n');
  const { code, stderr } = await session.run('inspect', '--at', '27', id);
  t.is(code, 3);
  t.regex(stderr, /prune of what nothing needed since 2026-02-01T12:00:00\.000Z \(CONTENT_ERASED\)/);
});

test('prune tells a program each thing, and the sum', async (t) => {
  const session = await startSession(t);
  const { done } = session;
  await done('load', '--quiet', archive('oci-multi-platform.tar'));
  await done('rm', '--force', '--quiet', 'tiny:multi');
  const lines = objectsOf(await done('prune', '--json'));
  const contents = lines.slice(0, -1);
  t.deepEqual([...new Set(contents.map(({ kind }) => kind))].sort(), ['config', 'index', 'manifest']);
  t.like(lines.at(-1), {
    dryRun: true,
    contents: contents.length,
    layers: [],
    bytes: contents.reduce((sum, { size }) => sum + Number(size), 0),
    seq: null,
  });
  t.is(await done('prune', '--quiet'), contents.map(({ digest }) => `${digest}\n`).join(''));
  const freed = objectsOf(await done('prune', '--json', '--yes'));
  t.deepEqual(freed.slice(0, -1), contents);
  t.like(freed.at(-1), { dryRun: false, seq: objectsOf(await done('log', '--json')).length });
});

test('a damaged log that a rebuild set aside is named by all who look, and goes with an erasure on request', async (t) => {
  const session = await startSession(t);
  const { done, run } = session;
  const id = await withRemoved(session);
  await rm(join(session.store, 'log', 'CURRENT'));
  t.regex(
    await done('rebuild'),
    /log\.damaged-1 keeps content from being erased: remove the folder when you no longer need it/,
  );
  t.regex(await done('rebuild'), /log\.damaged-1 keeps content from being erased/);
  t.regex(await done('stats'), /\ndamaged log +log\.damaged-1; remove the folder when you no longer need it\n/);
  t.deepEqual(objectsOf(await done('stats', '--json'))[0]?.['damagedLogs'], ['log.damaged-1']);
  const verified = await run('verify');
  t.is(verified.code, 0);
  t.regex(
    verified.stderr,
    /imagelog: notice: log\.damaged-1 is a damaged log that a rebuild set aside: remove the folder/,
  );
  t.regex(
    await done('prune'),
    /\nlog\.damaged-1, which a rebuild set aside, may contain the same bytes: move it away, or add /,
  );
  t.regex(await done('prune', '--remove-damaged-logs'), /\nwould remove log\.damaged-1\n$/);
  for (const argv of [
    ['erase', '--reason', 'r', id],
    ['prune', '--yes'],
  ]) {
    const { code, stderr, stdout } = await run(...argv);
    t.is(code, 1);
    t.is(stdout, '');
    t.regex(stderr, /log\.damaged-1, which a rebuild set aside, .*\(DAMAGED_LOG_KEPT\)\nhint: .*--remove-damaged-logs/);
  }
  t.regex(await done('erase', '--remove-damaged-logs', '--reason', 'r', id), /\nremoved log\.damaged-1\n$/);
  t.notRegex(await done('stats'), /damaged log/);
  t.is((await run('verify')).stderr, '');
});

test('a prune removes damaged logs on request, and says so', async (t) => {
  const session = await startSession(t);
  await withRemoved(session);
  await rm(join(session.store, 'log', 'CURRENT'));
  await session.done('rebuild');
  t.regex(
    await session.done('prune', '--yes', '--remove-damaged-logs'),
    /^KIND[\s\S]*\nfreed .*\nremoved log\.damaged-1\n$/,
  );
  t.deepEqual(objectsOf(await session.done('prune', '--json'))[0]?.['damagedLogs'], []);
});

test('prune --filter frees only what is of matching images, by every name they had', async (t) => {
  const session = await startSession(t);
  const { done, run } = session;
  const id = await withRemoved(session);
  for (const filter of ['label=x', 'reference=shop/*', 'reference!=twice', 'until=2024-01-01']) {
    t.is(await done('prune', '--filter', filter), 'nothing to prune\n', filter);
  }
  for (const filter of ['label!=x', 'reference=twice:*', 'reference!=shop/*', 'until=2h']) {
    t.regex(await done('prune', '--filter', filter), new RegExp(`\\nconfig +${id} `), filter);
  }
  t.is((await run('prune', '--filter', 'dangling=true')).code, 2);
  await done('prune', '--filter', 'reference=twice', '--filter', 'label!=keep', '--yes');
  t.is((await run('inspect', '--at', '27', id)).code, 3);
});
