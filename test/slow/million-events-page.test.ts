import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { madeLog } from '../page/made-log.js';
import { projectRoot } from '../support/fixtures.js';
import { requires } from '../support/requires.js';

const inChromium = requires('chromium');
const EVENTS = 1_000_000;
/** Minutes on a busy machine, of which the page needs half a one of one processor. */
const READ_MS = 15 * 60_000;
const ANSWER_MS = 60_000;

inChromium('a served log of a million events is shown while it is read, and verified as a whole', async (t) => {
  const log = madeLog(EVENTS);
  const template = await readFile(join(projectRoot, 'dist', 'page.html'));
  const server = createServer((request, response) => {
    const path = (request.url ?? '').slice(1);
    const answer =
      path === '' ? template : path === 'log/checkpoint' ? log.checkpoint : log.readTile(path.replace(/^log\//, ''));
    response.setHeader('content-type', path === '' ? 'text/html' : 'application/octet-stream');
    Promise.resolve(answer).then(
      (body) => response.end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--headless', '--disable-gpu'],
  });
  t.teardown(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  // The sections are there long before the end.
  await page.waitForSelector('.rows > li', { timeout: ANSWER_MS });
  t.regex((await page.textContent('h1')) ?? '', /Checking the log/);
  await page.waitForSelector('.facts', { timeout: READ_MS });
  t.regex((await page.textContent('.verdict')) ?? '', /1000000 records re-hashed/);
  page.setDefaultTimeout(ANSWER_MS);
  await page.fill('input[type=search]', `CR-${EVENTS - 1}`);
  await page.locator('.references [role=status]', { hasText: `events of the request CR-${EVENTS - 1}` }).waitFor();
  t.is(await page.locator('.rows > li').count(), 1);
  await page.locator('input[type=range]').press('PageDown');
  await page.waitForURL(/#at=\d+&q=CR-999999$/);
  await page.locator('.now', { hasText: /after event \d+ of 1000000/ }).waitFor();
});
