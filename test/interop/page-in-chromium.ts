import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import axe, { type AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { archive, type Session, startSession } from '../cli/session.js';
import { requires } from '../support/requires.js';

/* The page of a small log in Chromium. */

/** A test that needs Chromium. */
export const inChromium = requires('chromium');
const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
];
/** Name of the log of a week. */
export const ORIGIN = 'example.com/images';
/** The name that moves. */
export const PROD = 'docker.io/shop/app:prod';
/** What the browser waits for at most; the machine may be busy. */
const TIMEOUT_MS = 60_000;

/** A week of releases: each day of it is a day of the clock. */
export interface Week extends Session {
  readonly path: (name: string) => string;
  readonly verifier: string;
}

/** Begins a session, and plays the week. */
export async function startWeek(t: ExecutionContext): Promise<Week> {
  const session = await startSession(t, '2026-11-23T09:00:00Z');
  const path = (name: string): string => join(session.folder, name);
  const { done, wait } = session;
  const verifier = (await done('key', path('log.key'), '--name', ORIGIN)).trim();
  const day = 86_400_000;
  await done('load', '--quiet', '--key', path('log.key'), archive('docker25-all.tar'));
  wait(day);
  await done('tag', 'shop/app:1.0', 'shop/app:prod', '--actor', 'ana', '--reason', 'release 1.0');
  wait(2 * day);
  await done(
    'tag',
    'shop/app:2.0',
    'shop/app:prod',
    '--actor',
    'ci@build-7',
    '--reason',
    'release 2.0',
    '--request-id',
    'INC-77',
  );
  wait(day);
  await done('untag', 'shop/app:1.0', '--actor', 'bo');
  return { ...session, path, verifier };
}

let browser: Promise<Browser> | undefined;

interface Opening {
  readonly options?: Parameters<Browser['newContext']>[0];
  /** Whether to wait for the verdict. */
  readonly waits?: boolean;
  /** What the browser may complain about. */
  readonly tolerates?: RegExp;
  readonly onRequest?: (url: string) => void;
}

/** Opens an address in a new window. The test fails when the page does, or when a file asks a network. */
export async function openPage(
  t: ExecutionContext,
  url: string,
  { options = {}, waits = true, tolerates, onRequest }: Opening = {},
): Promise<Page> {
  browser ??= chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM_ARGS });
  const context = await (await browser).newContext({ timezoneId: 'UTC', ...options });
  t.teardown(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const failures: string[] = [];
  page.on('pageerror', ({ message }) => failures.push(message));
  page.on('console', (message) => {
    if (message.type() === 'error' && tolerates?.test(message.text()) !== true) failures.push(message.text());
  });
  const asked: string[] = [];
  page.on('request', (request) => {
    asked.push(request.url());
    onRequest?.(request.url());
  });
  t.teardown(() => {
    // A file asks no network for anything.
    const network = url.startsWith('file:') ? asked.filter((each) => /^(?:https?|wss?):/.test(each)) : [];
    const found = [...failures, ...network];
    if (found.length > 0) throw new Error(found.join('; '));
  });
  await page.goto(url);
  if (waits) await page.waitForSelector('.facts');
  return page;
}

test.after.always(async () => (await browser)?.close());

/** Expects that axe finds nothing serious on a page, and that no part of it is wider than the window. */
export async function checkAccessible(t: ExecutionContext, page: Page): Promise<void> {
  // Evaluated, as the policy of the page lets no other script in.
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0]?.html}`);
  t.deepEqual(
    found.filter((each) => /^(?:serious|critical)/.test(each)),
    [],
  );
  const width = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  t.is(width, 0);
}
