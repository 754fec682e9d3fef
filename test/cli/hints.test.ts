import test, { type ExecutionContext } from 'ava';
import { quoted } from '../../src/cli/typed-line.js';
import { join } from 'node:path';
import { archive, startSession } from './session.js';

/** The commands that the hint of a failed run names. */
function named(stderr: string): string[] {
  const [, hint = ''] = /\nhint: (.*)\n$/.exec(stderr) ?? [];
  return [...hint.matchAll(/`(imagelog [^`]*)`/g)].map(([, command]) => command as string);
}

const hints = test.macro({
  title: (_, argv: readonly string[]) => `the hint of \`imagelog ${argv.join(' ')}\` can be copied and run`,
  exec: async (t: ExecutionContext, argv: readonly string[], expected: readonly string[]) => {
    const { done, run } = await startSession(t);
    await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
    const { code, stderr } = await run(...argv);
    t.not(code, 0);
    t.deepEqual(named(stderr), [...expected], stderr);
  },
});

test(hints, ['tag', 'tiny:1'], ['imagelog help tag']);
test(hints, ['at', '2', 'inspect'], ['imagelog help inspect']);
test(hints, ['at', '2', 'load'], ['imagelog help load']);
test(hints, ['consumers', 'reset'], ['imagelog help consumers reset']);
test(hints, ['untag', 'a:1'], ['imagelog images', 'imagelog refs a:1']);
test(hints, ['at', '2', 'resolve', 'a:1'], ['imagelog at 2 images', 'imagelog at 2 refs a:1']);
test(hints, ['at', '99', 'images'], ['imagelog log --reverse --limit 1']);
test(hints, ['resolve', 'a:1', '--at', '2'], ['imagelog at @2 images', 'imagelog at @2 refs a:1']);

test('a hint names the store and the actor that were typed, where its commands take them', async (t) => {
  const { folder, run } = await startSession(t);
  const other = join(folder, 'my store');
  const { stderr } = await run('images', '--store', other);
  t.deepEqual(named(stderr), [`imagelog --store '${other}' load FILE`]);
  const written = await run('--actor', 'ann lee', '--store', other, 'rm', 'a:1');
  t.deepEqual(named(written.stderr), [`imagelog --store '${other}' --actor 'ann lee' load FILE`]);
  t.is((await run('--store', other, 'load', archive('skopeo-tiny-1.tar'))).code, 0);
  const missing = await run('untag', '--store', other, '--actor', 'ann', 'a:1');
  t.deepEqual(named(missing.stderr), [`imagelog --store '${other}' images`, `imagelog --store '${other}' refs a:1`]);
});

test('words are quoted for a shell', (t) => {
  t.deepEqual(['a:1', '2h', 'my store', "it's", '$x', ''].map(quoted), [
    'a:1',
    '2h',
    "'my store'",
    "'it'\\''s'",
    "'$x'",
    "''",
  ]);
});
