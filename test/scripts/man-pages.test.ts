import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { manPages } from '../../scripts/man-pages.js';
import { commandNames, understand } from '../cli/grammar.js';
import { projectRoot } from '../support/fixtures.js';
import { requires } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

let pages: Awaited<ReturnType<typeof manPages>> = [];

test.before(async () => {
  pages = await manPages('imagelog 1.2.3', '2026-01-31');
});

/** Text without the marks of roff, so that it can be compared with a help. */
function words(roff: string): string {
  return roff
    .replace(/\\f[BIR]|\\&/g, '')
    .replaceAll('\\-', '-')
    .replaceAll('\\(aq', "'")
    .replaceAll('\\(dq', '"')
    .replaceAll('\\(ti', '~')
    .replaceAll('\\(ha', '^')
    .replaceAll(/\\\[u([0-9A-F]+)\]/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('\\e', '\\')
    .replace(/\s+/g, ' ');
}

test('each command has a page, and package.json lists them all', (t) => {
  const expected = ['imagelog.1', ...commandNames.map((name) => `imagelog-${name.replaceAll(' ', '-')}.1`)].sort();
  t.deepEqual(pages.map(({ file }) => file).sort(), expected);
  const { man } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { man: string[] };
  t.deepEqual(
    [...man].sort(),
    expected.map((file) => `dist/man/${file}`),
  );
});

test('a page has the description, options and examples of the help', async (t) => {
  for (const name of commandNames) {
    const page = pages.find(({ file }) => file === `imagelog-${name.replaceAll(' ', '-')}.1`);
    const text = words(page?.text ?? '');
    const { stdout } = await understand('help', ...name.split(' '));
    const [, about = ''] = /\n\n(.*?)\n\n(?:Arguments|Options):/s.exec(stdout) ?? [];
    for (const part of about.split('\n\n')) t.true(text.includes(part.replace(/\s+/g, ' ').replaceAll('`', '')), part);
    const examples = stdout.split('\n').filter((line) => line.startsWith('  $ '));
    t.true(examples.length >= 2, name);
    for (const line of examples) t.true(text.includes(line.slice('  $ '.length)), line);
    for (const [flag] of stdout.matchAll(/(?<=^ {2}(?:-\w, )?)--[a-z-]+/gm)) t.true(text.includes(flag), flag);
  }
});

test('imagelog(1) names the page of each command', (t) => {
  const [page] = pages;
  t.is(page?.file, 'imagelog.1');
  for (const name of commandNames)
    t.regex(words(page?.text ?? ''), new RegExp(`imagelog-${name.replaceAll(' ', '-')}\\(1\\)`));
});

for (const [program, args] of [
  ['mandoc', ['-T', 'lint', '-W', 'warning']],
  ['groff', ['-man', '-ww', '-T', 'utf8', '-z']],
] as const) {
  requires(program)(`${program} has no warning about a page`, async (t) => {
    const folder = await temporaryDirectory(t);
    for (const { file, text } of pages) await writeFile(join(folder, file), text);
    const files = pages.map(({ file }) => join(folder, file));
    t.is(execFileSync('sh', ['-c', `"$0" "$@" 2>&1`, program, ...args, ...files]).toString(), '');
  });
}

requires('man')('man shows a page, on lines of 80 columns', async (t) => {
  const folder = await temporaryDirectory(t);
  const page = pages.find(({ file }) => file === 'imagelog-at.1');
  await writeFile(join(folder, 'imagelog-at.1'), page?.text ?? '');
  const env = { ...process.env, MANWIDTH: '80', LC_ALL: 'C.UTF-8', MANROFFOPT: '-c', MANPAGER: 'cat' };
  const shown = execFileSync('man', ['-l', join(folder, 'imagelog-at.1')], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
  t.regex(shown, /^NAME\n +imagelog-at - run a command that reads, in the past$/m);
  t.regex(shown, /\$? ?imagelog at 2h inspect shop\/app:prod\n +show the image of two hours ago/);
});
