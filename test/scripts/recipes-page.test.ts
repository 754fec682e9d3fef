import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../support/fixtures.js';

const folder = join(projectRoot, 'scripts', 'examples');
const examples = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const));
const page = readFileSync(join(projectRoot, 'docs', 'RECIPES.md'), 'utf8');

/** Without indentation: a block may be cut from inside a function. */
const flat = (text: string): string => text.replaceAll(/^ +/gm, '');

test('the blocks of docs/RECIPES.md are cut from the examples that tests run', (t) => {
  const blocks = [...page.matchAll(/^```ts\n([^`]*)\n```$/gm)].map(([, block]) => block as string);
  const own = blocks.filter((block) => ![...examples.values()].some((text) => flat(text).includes(flat(block))));
  t.is(blocks.length - own.length, 7);
  // Of a batch, which consumers/consumer.test.ts runs.
  t.is(own.length, 1);
  t.regex(own[0] ?? '', /await consumer\.ackThrough\(event\)/);
});

test('its links are to files that are there', (t) => {
  const links = [...page.matchAll(/\]\(\.\.\/scripts\/examples\/([^)]*)\)/g)].map(([, name]) => name as string);
  t.is(links.length, 5);
  for (const name of links) t.true(examples.has(name), name);
});
