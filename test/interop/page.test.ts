import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { generatePrivateKey, parsePrivateKey } from '../../src/log/note.js';
import { createServer as createImagelog } from '../../src/server/create-server.js';
import { openStore } from '../../src/store/open/open-store.js';
import { archive, startSession } from '../cli/session.js';
import { checkAccessible, inChromium, openPage, ORIGIN, PROD, startWeek } from './page-in-chromium.js';

/* The page in a real browser, as a file and served. */

inChromium('the page says that nobody edited the log, and what a name was last tuesday', async (t) => {
  const { done, path, verifier } = await startWeek(t);
  await done('page', '-o', path('log.html'), '--key', path('log.key'));
  const page = await openPage(t, `file://${path('log.html')}`);
  t.is(await page.textContent('h1'), '✓ Verified by the key that came with it');
  await page.click('.key-form summary');
  await page.fill('input[name=key]', verifier);
  await page.click('.key-form button');
  await page.locator('h1', { hasText: '✓ Verified: nobody has edited this log' }).waitFor();
  t.regex(
    (await page.textContent('.verdict')) ?? '',
    /\d+ records re-hashed in this browser in \d+ ms.*example\.com\/images signed/,
  );
  await page.fill('input[name=at]', '2026-11-24');
  await page.click('button:text("Go")');
  await page.click(`a:text-is("shop/app:prod")`);
  const sentence = page.locator('.sentence');
  await sentence.waitFor();
  t.regex(
    (await sentence.textContent()) ?? '',
    /^Tue 24 Nov 2026, 23:59:59 UTC: it pointed at [0-9a-f]{12}, since Tue 24 Nov 2026, 09:00, by ana · “release 1\.0”\.$/,
  );
  const then = /it pointed at ([0-9a-f]{12})/.exec((await sentence.textContent()) ?? '')?.[1] ?? '';
  t.true((await done('resolve', '--at', '2026-11-24', 'shop/app:prod')).startsWith(`sha256:${then}`));
});

inChromium('the slider steps over events and moves, and back and forward lead through what was shown', async (t) => {
  const { done, path } = await startWeek(t);
  await done('page', '-o', path('log.html'));
  const page = await openPage(t, `file://${path('log.html')}#ref=${PROD}`);
  const slider = page.locator('input[type=range]');
  const sentence = (): Promise<string | null> => page.locator('.sentence').textContent();
  const until = (text: RegExp): Promise<void> => page.locator('.sentence', { hasText: text }).waitFor();
  await until(/: it pointed at .*release 2\.0.*INC-77/);
  t.regex((await page.textContent('.moment')) ?? '', /where this file ends, after event \d+ of \d+$/);
  await slider.press('PageDown');
  await until(/release 2\.0/);
  t.regex(page.url(), /#at=\d+&ref=docker\.io\/shop\/app:prod$/);
  await slider.press('PageDown');
  await until(/release 1\.0/);
  await slider.press('ArrowLeft');
  await until(/never been set/);
  await page.goBack();
  await until(/release 1\.0/);
  await page.goBack();
  await until(/release 2\.0/);
  await page.goForward();
  await until(/release 1\.0/);
  await slider.press('End');
  await page.locator('.moment', { hasText: 'where this file ends' }).waitFor();
  await until(/INC-77/);
  t.regex((await sentence()) ?? '', /ci@build-7/);
  // Dragging names a time, and not an event.
  await slider.fill('5000');
  await until(/2026, \d\d:\d\d:\d\d UTC: /);
  t.regex(page.url(), /#at=2026-11-2\dT/);
});

inChromium('what the verdict rests on: a key of the file, the same one again, and one that was given', async (t) => {
  const { done, path, verifier } = await startWeek(t);
  await done('page', '-o', path('log.html'), '--key', path('log.key'));
  const page = await openPage(t, `file://${path('log.html')}`);
  const opened = async (title: string): Promise<void> => {
    await page.locator('h1', { hasText: title }).waitFor();
  };
  await opened('✓ Verified by the key that came with it');
  await page.locator('.verdict.fair', { hasText: 'Who made this file could have chosen the key too' }).waitFor();
  await page.reload();
  await opened('✓ Verified by the key that this browser saw first');
  await page
    .locator('.verdict.fair', { hasText: /\d+ events of it are the ones that this browser verified before/ })
    .waitFor();
  await page.click('.key-form summary');
  await page.fill('input[name=key]', verifier);
  await page.click('.key-form button');
  await opened('✓ Verified: nobody has edited this log');
  await page.reload();
  await opened('✓ Verified: nobody has edited this log');
  t.regex((await page.textContent('.facts')) ?? '', /valid, by the key that you gave/);
  // A file of the same name by somebody else.
  const html = await readFile(path('log.html'), 'utf8');
  const other = (await parsePrivateKey(await generatePrivateKey(ORIGIN))).verifierKey;
  await writeFile(path('log.html'), html.replace(verifier, other));
  await page.reload();
  await opened('✓ Verified: nobody has edited this log');
  await page.evaluate('localStorage.clear()');
  await page.reload();
  await opened('✕ The signature is wrong');
});

inChromium('a page of a past moment ends there, and calls nothing now', async (t) => {
  const { done, path } = await startWeek(t);
  await done('at', '2026-11-24', 'page', '-o', path('log.html'));
  const page = await openPage(t, `file://${path('log.html')}#ref=${PROD}`);
  await page.locator('.moment', { hasText: 'As of Tue 24 Nov 2026, 09:00:00 UTC' }).waitFor();
  t.regex(
    (await page.locator('.sentence').textContent()) ?? '',
    /^Tue 24 Nov 2026, 09:00:00 UTC: it pointed at .*release 1\.0/,
  );
  t.notRegex((await page.textContent('main')) ?? '', /\bnow\b/i);
  t.regex((await page.textContent('h1')) ?? '', /^• Whole, but nobody signed it$/);
  t.is(await page.locator('.key-form').count(), 0);
});

inChromium('an address that people type is read, and one that means nothing says so', async (t) => {
  const { done, path } = await startWeek(t);
  await done('page', '-o', path('log.html'));
  const page = await openPage(t, `file://${path('log.html')}#at=2026-11-24&ref=shop/app:prod`);
  await page.locator('.sentence', { hasText: 'release 1.0' }).waitFor();
  t.is(await page.locator('.row.chosen .name').textContent(), 'shop/app:prod');
  for (const [hash, told] of [
    ['#ref=///', 'Nothing fits “///”'],
    ['#image=no+such', 'no such'],
    ['#at=99999&from=zz&since=zz', '"zz"'],
    ['#at=-1', '-1'],
  ] as const) {
    await page.goto(page.url().replace(/#.*/, hash));
    await page.locator('.note, .failure', { hasText: told }).first().waitFor();
  }
  await page.click('a:text-is("Go to the end of the log")');
  await page.locator('.moment', { hasText: 'where this file ends' }).waitFor();
  await page.goto(page.url().replace(/#.*|$/, '#at=2026-11-01'));
  await page.locator('.moment', { hasText: /before event 1 of \d+/ }).waitFor();
  await page.locator('.references .note', { hasText: 'No name had been set by then' }).waitFor();
  t.is(await page.locator('.transactions > li').count(), 0);
});

inChromium('a lane tells of its periods by keys, and leads to the moment when one began', async (t) => {
  const { done, path } = await startWeek(t);
  await done('page', '-o', path('log.html'));
  const page = await openPage(t, `file://${path('log.html')}#ref=${PROD}`);
  const lane = page.locator('.chosen-reference .lane[role=slider]');
  await lane.focus();
  await lane.press('ArrowLeft');
  await page.locator('.chosen-reference .details', { hasText: 'release 1.0' }).waitFor();
  t.regex(
    (await lane.getAttribute('aria-valuetext')) ?? '',
    /from Tue 24 Nov 2026, 09:00 until Thu 26 Nov 2026, 09:00/,
  );
  await lane.press('Escape');
  await page.locator('.chosen-reference .details').waitFor({ state: 'detached' });
  await lane.press('Home');
  await lane.press('Enter');
  await page.locator('.sentence', { hasText: 'release 1.0' }).waitFor();
  const box = await lane.boundingBox();
  if (box === null) return t.fail('the lane is not drawn');
  await lane.click({ position: { x: box.width - 3, y: 9 } });
  await page.locator('.sentence', { hasText: 'release 2.0' }).waitFor();
  t.regex(await page.title(), /^shop\/app:prod · /);
});

inChromium('what was opened gives the focus back, and more rows take it', async (t) => {
  const session = await startSession(t);
  const store = await openStore(session.store);
  const [image = ''] = (await store.load(archive('docker25-all.tar'))).images.map(({ id }) => id);
  const other = store.resolve('shop/app:2.0') ?? '';
  for (let at = 0; at < 310; at++) await store.tag({ source: at % 2 === 0 ? image : other, target: 'flip:prod' });
  for (let at = 0; at < 60; at++) await store.tag({ source: image, target: `many/tags:v${at}` });
  await store.close();
  const file = join(session.folder, 'log.html');
  await session.done('page', '-o', file);
  const page = await openPage(t, `file://${file}`);
  const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent');
  await page.locator('.references button.more').press('Enter');
  await page.locator('.name:focus').waitFor();
  t.is(await page.locator('.rows .row').count(), 68);
  await page.locator('.events button.more').press('Enter');
  await page.locator('summary:focus').waitFor();
  await page.locator('.rows .name:text-is("flip:prod")').press('Enter');
  // A lane without room for all periods tells how many it leaves out.
  await page.locator('.chosen-reference .earlier', { hasText: '10 earlier periods' }).waitFor();
  await page.locator('.chosen-reference .note', { hasText: '210 earlier periods are not listed' }).waitFor();
  await page.locator('.chosen-reference .close').press('Enter');
  await page.locator('.name:focus').waitFor();
  t.is(await focused(), 'flip:prod');
  await page.locator('.rows a.id').first().press('Enter');
  await page.locator('.card:focus').waitFor();
  await page.locator('.card .close').press('Enter');
  await page.locator('.id:focus').waitFor();
  await page.fill('input[type=search]', 'no such name');
  await page.locator('.references .note', { hasText: 'Nothing fits “no such name”' }).waitFor();
  await page.click('a:text-is("Show all names")');
  t.true((await page.locator('.rows .row').count()) > 0);
});

inChromium('long names, people and reasons fit into a narrow window', async (t) => {
  const session = await startSession(t);
  const store = await openStore(session.store);
  await store.load(archive('docker25-all.tar'));
  const target = `registry.example.com:5000/${'long-component-name/'.repeat(6)}app:${'release-candidate-'.repeat(5)}1`;
  const actor = 'a-very-long-name-of-a-pipeline@continuous-integration-runner-17.internal.example.com';
  for (const source of ['shop/app:1.0', 'shop/app:2.0', 'tiny:1'])
    await store.tag({ source, target }, { actor, reason: 'x'.repeat(300), requestId: 'TICKET-'.repeat(9) });
  await store.close();
  const file = join(session.folder, 'log.html');
  await session.done('page', '-o', file);
  const hash = `#ref=${target}&image=shop/app:2.0&from=1&since=2020-01-01`;
  const page = await openPage(t, `file://${file}${hash}`, { options: { viewport: { width: 320, height: 700 } } });
  await page.locator('.compare table').waitFor();
  await page.locator('.audit table').first().waitFor();
  await page.locator('.transactions summary').first().click();
  await page.locator('.proof button').first().waitFor();
  await page.locator('.chosen-reference .lane').hover({ position: { x: 230, y: 9 } });
  await page.locator('.chosen-reference .details').waitFor();
  await checkAccessible(t, page);
});

inChromium('a search finds names, patterns, digests, people and requests', async (t) => {
  const { done, path } = await startWeek(t);
  await done('page', '-o', path('log.html'));
  const page = await openPage(t, `file://${path('log.html')}`);
  const image = (await done('resolve', 'shop/app:2.0')).slice('sha256:'.length, 'sha256:'.length + 10);
  for (const [text, names] of [
    ['*:prod', ['shop/app:prod']],
    ['app:2', ['shop/app:2.0']],
    ['INC-77', ['shop/app:prod']],
    ['bo', ['shop/app:1.0']],
    [image, ['shop/app:2.0', 'shop/app:prod']],
  ] as const) {
    await page.fill('input[type=search]', text);
    await page.locator('.references [role=status]', { hasText: text }).waitFor();
    const found = await page.locator('.rows .name').allTextContents();
    for (const name of names) t.true(found.includes(name), `${text}: ${found.join()}`);
    if (text.startsWith('*')) t.deepEqual(found, ['shop/app:prod']);
  }
});

inChromium('a proof that the page gives is taken by the command line', async (t) => {
  const { done, path, verifier } = await startWeek(t);
  await done('page', '-o', path('log.html'), '--key', path('log.key'));
  const page = await openPage(t, `file://${path('log.html')}#ref=${PROD}`);
  await page.locator('.transactions summary').first().click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('.proof button').first().click()]);
  await page.locator('.proof', { hasText: '✓ checked' }).first().waitFor();
  t.regex(download.suggestedFilename(), /^event-\d+\.tlog-proof$/);
  await download.saveAs(path('event.tlog-proof'));
  t.regex(
    await done('check-proof', path('event.tlog-proof'), '--key', verifier),
    /is in the log example\.com\/images .*, signed by its key/,
  );
});

inChromium('a byte that was changed is shown as damage, and where', async (t) => {
  const { done, path } = await startWeek(t);
  await done('page', '-o', path('log.html'), '--key', path('log.key'));
  await done('page', '-o', path('flipped.html'), '--key', path('log.key'));
  const text = await readFile(path('flipped.html'), 'utf8');
  const flipped = text.replace(
    /(<script type="text\/plain" id="records-0">)([^<]*)/,
    (_, tag: string, block: string) => {
      const bytes = gunzipSync(Buffer.from(block, 'base64'));
      const at = bytes.indexOf('release 1.0');
      bytes.write('release 9', at);
      return tag + gzipSync(bytes).toString('base64');
    },
  );
  await writeFile(path('flipped.html'), flipped);
  const page = await openPage(t, `file://${path('flipped.html')}`);
  const [, seq] = /\n\s*(\d+).*release 1\.0/.exec(await done('log')) ?? [];
  t.is(await page.textContent('h1'), `✕ Event ${seq} is not the one that was recorded`);
  t.regex((await page.textContent('.verdict')) ?? '', /its hash is not the one that was recorded/);
  await page
    .locator('.moment .failure', { hasText: `event ${seq} was changed: nothing here can be believed` })
    .waitFor();
  await page.locator('.marks .wrong').waitFor({ state: 'attached' });
  await page.click('a:text-is("Show the log before it")');
  await page.locator('.moment .failure').waitFor({ state: 'detached' });
});

inChromium('another key than the one that signed is refused, and the right one is taken', async (t) => {
  const { done, path, verifier } = await startWeek(t);
  await done('page', '-o', path('log.html'), '--key', path('log.key'));
  const page = await openPage(t, `file://${path('log.html')}`);
  const other = (await parsePrivateKey(await generatePrivateKey(ORIGIN))).verifierKey;
  await page.click('.key-form summary');
  await page.fill('input[name=key]', other);
  await page.click('.key-form button');
  await page.locator('h1', { hasText: '✕ Not signed by the key that you gave' }).waitFor();
  await page.fill('input[name=key]', verifier);
  await page.click('.key-form button');
  await page.locator('h1', { hasText: '✓ Verified' }).waitFor();
  t.regex((await page.textContent('.facts')) ?? '', /valid, by the key that you gave/);
});

inChromium('the empty log is whole, and says that nothing happened', async (t) => {
  const session = await startSession(t);
  const store = await openStore(session.store);
  await store.close();
  const file = join(session.folder, 'log.html');
  await session.done('page', '-o', file);
  const page = await openPage(t, `file://${file}`);
  t.regex((await page.textContent('main')) ?? '', /0 records re-hashed.*Nothing has happened in this log yet/s);
});

inChromium('a served page checks the log, and shows what happens while it is open', async (t) => {
  const { store: directory, path } = await startWeek(t);
  const store = await openStore(directory, { actor: 'ana' });
  const imagelog = createImagelog(store);
  const http = createServer(imagelog.listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => http.once('listening', resolve));
  t.teardown(async () => {
    http.closeAllConnections();
    http.close();
    await imagelog.close();
    await store.close();
  });
  const page = await openPage(t, `http://127.0.0.1:${(http.address() as AddressInfo).port}/#ref=${PROD}`);
  const { seq } = store.log.head;
  t.regex((await page.textContent('.facts')) ?? '', new RegExp(`Events${seq}`));
  await store.tag({ source: 'shop/app:2.0', target: 'shop/app:next' }, { reason: 'live' });
  await page.locator('.rows .name', { hasText: 'shop/app:next' }).waitFor();
  await page.locator('.facts', { hasText: `Events${seq + 1}` }).waitFor();
  t.regex((await page.textContent('h1')) ?? '', /^• Whole/);
  t.truthy(path);
});

inChromium('an image whose content was erased is told as such, by whom and why', async (t) => {
  const { done, path } = await startWeek(t);
  const image = (await done('resolve', 'twice:1')).trim();
  await done('rm', 'twice:1', '--force', '--actor', 'bo', '--reason', 'nobody runs it');
  await done('erase', image, '--actor', 'bo', '--reason', 'a secret was in it');
  await done('page', '-o', path('log.html'));
  const page = await openPage(t, `file://${path('log.html')}#image=${image}`);
  await page.locator('.state', { hasText: 'its content erased' }).waitFor();
  const told = (await page.locator('.state.bad').allTextContents()).join();
  t.regex(told, /deleted .* by bo · “nobody runs it”/);
  t.regex(told, /erased .* by bo · “a secret was in it”/);
  await page.click('.audit summary');
  await page.locator('.audit', { hasText: 'a secret was in it' }).waitFor();
});

for (const [name, options] of [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['narrow', { viewport: { width: 320, height: 700 } }],
] as const) {
  inChromium(`axe finds nothing serious on the page: ${name}`, async (t) => {
    const { done, path } = await startWeek(t);
    await done('page', '-o', path('log.html'), '--key', path('log.key'));
    const page = await openPage(t, `file://${path('log.html')}#at=2026-11-24&ref=${PROD}`, { options });
    await page.locator('.sentence').waitFor();
    await page.locator('.transactions summary').first().click();
    await page.locator('.id').first().click();
    await page.click('.audit summary');
    await page.locator('.audit table').first().waitFor();
    await page.locator('.rows .lane').first().focus();
    await checkAccessible(t, page);
  });
}
