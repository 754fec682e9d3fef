import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { openTestStore } from '../support/test-store.js';
import { runExample } from './run-example.js';

const BEGIN = Date.UTC(2024, 2, 4, 9);
const at = '2024-03-04T09:00:00.000Z';

test('each change of a tag :prod is alerted once, with what it was and is, by whom and why', async (t) => {
  const store = await openTestStore(t, { now: () => BEGIN });
  await store.load(archivePath('docker25-all.tar'));
  const [old, next] = [store.resolve('shop/app:1.0'), store.resolve('shop/app:2.0')];
  const { storeId } = store.stats();
  const reference = 'docker.io/shop/app:prod';
  await store.tag(
    { source: old, target: 'shop/app:prod' },
    { actor: 'ana', reason: 'release 1.0', requestId: 'REL-1' },
  );
  const first = store.log.head.seq;
  await store.tag({ source: old, target: 'shop/app:preprod' });
  await store.tag({ source: next, target: 'shop/app:prod' }, { actor: 'ci@build-7' });
  await store.close();
  const alerts = await runExample('prod-alert', [store.directory]);
  t.deepEqual([alerts.code, alerts.stderr], [0, '']);
  t.deepEqual(
    alerts.lines.map((line): unknown => JSON.parse(line)),
    [
      { key: `${storeId}/${first}`, at, reference, to: old, by: 'ana', reason: 'release 1.0', requestId: 'REL-1' },
      { key: `${storeId}/${first + 2}`, at, reference, from: old, to: next, by: 'ci@build-7' },
    ],
  );
  t.deepEqual((await runExample('prod-alert', [store.directory])).lines, []);

  const again = await openStore(store.directory, { actor: 'ben', now: () => BEGIN });
  await again.untag('shop/app:prod');
  await again.setBuiltLocally(old);
  await again.close();
  t.deepEqual(
    (await runExample('prod-alert', [store.directory])).lines.map((line): unknown => JSON.parse(line)),
    [{ key: `${storeId}/${first + 3}`, at, reference, from: next, by: 'ben' }],
  );
});

// The child exits after its first line, before the store learns of it.
const DIES_AFTER_A_LINE = `
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (...args) => {
    write(...args);
    process.kill(process.pid, 'SIGKILL');
  };`;

test('an alert that went out before a crash goes out again with the same key, and none is lost', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  for (const version of ['1.0', '2.0', '1.0'])
    await store.tag({ source: store.resolve(`shop/app:${version}`), target: 'shop/app:prod' });
  await store.close();
  const crashed = await runExample('prod-alert', [store.directory], { before: DIES_AFTER_A_LINE });
  t.is(crashed.code, null);
  t.is(crashed.lines.length, 1);
  const { lines, stderr } = await runExample('prod-alert', [store.directory]);
  t.is(stderr, '');
  t.is(lines.length, 3);
  t.is(lines[0], crashed.lines[0]);
});

test('an alert that cannot be sent ends the run with the reason, and is sent by the next', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  for (const version of ['1.0', '2.0'])
    await store.tag({ source: store.resolve(`shop/app:${version}`), target: 'shop/app:prod' });
  await store.close();
  const before = `console.log = () => { throw new Error('the chat is down'); };`;
  const failed = await runExample('prod-alert', [store.directory], { before });
  t.is(failed.code, 1);
  t.regex(failed.stderr, /Error: the chat is down/);
  t.notRegex(failed.stderr, /ABORTED/);
  t.is((await runExample('prod-alert', [store.directory])).lines.length, 2);
});
