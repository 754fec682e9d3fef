import test from 'ava';
import { datedPhrases } from './plain-words.js';

const linesOf = (path: string, text: string): number[] => datedPhrases({ path, text }).map(({ line }) => line);

/** The phrase is found in a document, a comment, a message, and a title of a test. */
const finds = test.macro({
  exec(t, phrase: string) {
    t.deepEqual(linesOf('a.md', `\nThis ${phrase}, here.`), [2]);
    t.deepEqual(linesOf('src/a.ts', `\n/** This ${phrase}. */\nconst a = 1;`), [2]);
    t.deepEqual(linesOf('src/a.ts', `fail(\`this ${phrase}: \${a}\`);`), [1]);
    t.deepEqual(linesOf('test/a.test.ts', `test('this ${phrase}', run);`), [1]);
  },
  title: (_, phrase) => `"${phrase}" is found`,
});

for (const phrase of [
  'makes it anew',
  'comes to ten',
  'takes a quick look',
  'is said',
  'is none',
  'has a row of its own',
  'gives the lock up',
  'cannot be read any more',
  'goes on',
  'is no file',
]) {
  test(finds, phrase);
}

/** The phrases of the list are not found in this text. */
const accepts = test.macro({
  exec(t, path: string, text: string) {
    t.deepEqual(datedPhrases({ path, text }), []);
  },
  title: (_, __, text) => `accepted: ${text}`,
});

test(accepts, 'a.md', 'Undefined when there is none, or there is no file.');
test(accepts, 'a.md', "The key of its own row, of the caller\u2019s or of the caller's map.");
test(accepts, 'a.md', 'Reads any more bytes in one pass over the log.');
test(accepts, 'src/a.ts', "const whatever = anew('whatever');");
test(accepts, 'src/a.ts', "join('for', 'good');");

test('a phrase is found over the end of a line', (t) => {
  t.deepEqual(linesOf('a.md', 'It goes\non.'), [1]);
  t.deepEqual(linesOf('src/a.ts', '// It goes\n// on.\nrun();'), [1]);
  t.deepEqual(linesOf('src/a.ts', '/**\n * It goes\n * on.\n */\nrun();'), [2]);
});

test('a finding names the phrase and the plainer form', (t) => {
  const [finding] = datedPhrases({ path: 'a.md', text: 'lost\nfor\ngood' });
  t.deepEqual(finding, { path: 'a.md', line: 2, message: '"for good" has a plainer form: permanently' });
});
