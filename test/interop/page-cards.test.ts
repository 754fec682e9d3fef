import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { familiarReference } from '../../src/model/reference.js';
import { shortId, sizeText } from '../../src/model/texts.js';
import type { Digest } from '../../src/model/digest.js';
import { checkAccessible, inChromium, openPage, startWeek, type Week } from './page-in-chromium.js';

/* The image card, comparisons and the auditors' tables, in a real browser. */

async function openWeek(t: Parameters<typeof openPage>[0], week: Week, hash: string, options = {}): Promise<Page> {
  await week.done('page', '-o', week.path('log.html'));
  return openPage(t, `file://${week.path('log.html')}${hash}`, { options });
}

async function resolved({ done }: Week, name: string): Promise<Digest> {
  return (await done('resolve', name)).trim() as Digest;
}

/** The cells of a table on the page, by its caption. */
async function cellsOf(page: Page, caption: string): Promise<string[][]> {
  const table = page.locator('table', { has: page.locator('caption', { hasText: caption }) });
  await table.waitFor();
  const rows = await table.locator('tbody tr').all();
  return Promise.all(rows.map((row) => row.locator('th, td').allTextContents()));
}

/** Downloads a table, and returns its lines. */
async function csvOf(page: Page, week: Week, caption: string): Promise<string[]> {
  const button = page.getByRole('button', { name: `Download as CSV: ${caption}` });
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
  const path = week.path(download.suggestedFilename());
  await download.saveAs(path);
  const text = await readFile(path, 'utf8');
  return text.split('\r\n').slice(0, -1);
}

inChromium('a click on an id opens the card of the image, which says what inspect says', async (t) => {
  const week = await startWeek(t);
  const page = await openWeek(t, week, '');
  const image = await resolved(week, 'shop/app:2.0');
  const inspected = JSON.parse(await week.done('inspect', '--json', image)) as {
    readonly references: readonly string[];
    readonly layers: readonly { readonly diffId: Digest; readonly size: number }[];
    readonly size: number;
    readonly manifests: readonly { readonly digest: Digest }[];
  };
  await page
    .locator(`.rows a.id:text-is("${shortId(image)}")`)
    .first()
    .click();
  const card = page.locator('section.card');
  await card.locator('table').first().waitFor();
  t.true(await card.evaluate((element) => element === element.ownerDocument.activeElement));
  const text = (await card.textContent()) ?? '';
  for (const part of [image, sizeText(inspected.size), ...inspected.manifests.map(({ digest }) => digest)]) {
    t.true(text.includes(part), part);
  }
  const names = await cellsOf(page, 'Every name');
  for (const name of inspected.references) t.true(names.some(([cell]) => cell === familiarReference(name)));
  t.deepEqual(
    (await cellsOf(page, 'Layers')).map(([layer, size]) => [layer, size]),
    inspected.layers.map(({ diffId, size }) => [shortId(diffId), sizeText(size)]),
  );
  const steps = (await week.done('history', '--json', image)).trim().split('\n');
  t.is((await cellsOf(page, 'History')).length, steps.length);
  await page.goBack();
  await card.waitFor({ state: 'detached' });
});

inChromium('a card is as of the moment: its names then, and that it was not there yet', async (t) => {
  const week = await startWeek(t);
  const image = (await week.done('resolve', '--at', '2026-11-24', 'shop/app:prod')).trim();
  const page = await openWeek(t, week, `#at=2026-11-24&image=${image}`);
  const names = await cellsOf(page, 'Every name');
  t.deepEqual(
    names
      .filter(([name]) => name === 'shop/app:prod' || name === 'shop/app:1.0')
      .map(([name, , until]) => [name, until]),
    [
      ['shop/app:prod', 'still then'],
      ['shop/app:1.0', 'still then'],
    ],
  );
  await page.click('button:text-is("Newest")');
  const ended = page.locator('section.card tr', { hasText: 'shop/app:1.0' });
  await ended.locator('.ended', { hasText: 'by bo' }).waitFor();
  await page.fill('input[name=at]', '@1');
  await page.click('button:text("Go")');
  await page.locator('section.card .state', { hasText: 'It was not in the store yet' }).waitFor();
});

inChromium('two images are compared, by a name that is typed and by their link', async (t) => {
  const week = await startWeek(t);
  const page = await openWeek(t, week, '#image=shop/app:2.0');
  await page.fill('input[name=other]', 'tiny:1');
  await page.press('input[name=other]', 'Enter');
  await page.locator('.comparison [role=status]').waitFor();
  t.regex(page.url(), new RegExp(`from=${await resolved(week, 'tiny:1')}`));
  const layers = await cellsOf(page, 'Layers of both');
  t.true(layers.some(([side]) => side === '= both'));
  t.true((await cellsOf(page, 'Config values that differ')).length > 0);
  await page.fill('input[name=other]', 'no/such:image');
  await page.press('input[name=other]', 'Enter');
  await page.locator('.compare-form .failure').waitFor();
});

inChromium('two moments are compared as diff does, and their table is CSV', async (t) => {
  const week = await startWeek(t);
  const page = await openWeek(t, week, '');
  await page.fill('input[name=from]', '2026-11-24');
  await page.press('input[name=from]', 'Enter');
  const found = await cellsOf(page, 'Differences');
  const diff = (await week.done('diff', '2026-11-24', '--json')).trim().split('\n');
  const expected = diff.map((line) => JSON.parse(line) as Record<string, string>);
  t.deepEqual(
    found.map(([change, kind, key]) => [change?.slice(2), kind, key]),
    expected.map(({ change, kind, key }) => [change, kind, familiarReference(key ?? '')]),
  );
  const [head, ...lines] = await csvOf(page, week, 'Differences');
  t.is(head, 'Change,Kind,Key,Was,Is,When,By,Why,Request,Event');
  t.deepEqual(
    lines.map((line) => line.split(',')[2]),
    expected.map(({ key }) => key),
  );
});

inChromium('auditors see moves, deletions and people of a period; a formula in CSV is harmless', async (t) => {
  const week = await startWeek(t);
  await week.done('tag', 'shop/app:2.0', 'shop/app:prod2', '--actor', '=HYPERLINK("x")', '--reason', '@SUM(1)');
  const page = await openWeek(t, week, '');
  await page.locator('.audit summary').press('Enter');
  await page.fill('input[name=pattern]', '*:prod');
  await page.press('input[name=pattern]', 'Enter');
  await page.locator('caption', { hasText: 'Moves of *:prod' }).waitFor();
  const moves = await cellsOf(page, 'Moves of *:prod');
  t.deepEqual(
    moves.map((cells) => cells.at(-3)),
    ['ci@build-7', 'ana'],
  );
  t.true(
    (await cellsOf(page, 'Deletions')).some(([what, which]) => what === 'name removed' && which === 'shop/app:1.0'),
  );
  await page.fill('input[name=since]', '2026-11-26');
  await page.press('input[name=since]', 'Enter');
  await page.locator('caption', { hasText: 'Moves of *:prod' }).locator('.quiet', { hasText: '1 move in' }).waitFor();
  const lines = await csvOf(page, week, 'Who wrote');
  t.true(
    lines.some((line) => line.startsWith(`"'=HYPERLINK(""x"")",1,1,1,`)),
    lines.join('\n'),
  );
});

for (const [name, options] of [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['narrow', { viewport: { width: 320, height: 700 } }],
] as const) {
  inChromium(`axe finds nothing serious on cards and tables: ${name}`, async (t) => {
    const week = await startWeek(t);
    const other = await resolved(week, 'tiny:1');
    const page = await openWeek(t, week, `#image=shop/app:2.0&from=${other}&since=2026-11-01`, options);
    await page.locator('.comparison table').first().waitFor();
    await page.locator('.audit table').first().waitFor();
    await page.locator('details.data > summary').click();
    await checkAccessible(t, page);
    await page.goto(page.url().replace(/#.*/, '#from=2026-11-24'));
    await page.locator('.compare table').first().waitFor();
    await checkAccessible(t, page);
  });
}
