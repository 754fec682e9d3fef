import test from 'ava';
import { MAX_ORIGIN_BYTES } from '../../src/limits.js';
import { checkOrigin } from '../../src/log/note.js';
import { storeError } from '../support/store-error.js';

for (const name of ['a', 'example.com/log42', 'imagelog/b7e1', 'ü—名', 'x'.repeat(MAX_ORIGIN_BYTES)]) {
  test(`${name.slice(0, 20)} names a log`, (t) => t.is(checkOrigin(name), name));
}

const bad = [
  '',
  ' ',
  'a b',
  'a+b',
  'a\nb',
  'a\tb',
  'a\u00a0b',
  'a\u2003b',
  'a\u0085b',
  'a\u3000',
  'a\u0000',
  '\ud800',
  'a\ufeff',
];
for (const name of [...bad, 'x'.repeat(MAX_ORIGIN_BYTES + 1), 'ü'.repeat(Math.ceil(MAX_ORIGIN_BYTES / 2))]) {
  const units = Array.from({ length: Math.min(3, name.length) }, (_, at) => name.charCodeAt(at).toString(16));
  test(`${name.length} letters that begin with [${units.join(' ')}] name none`, (t) => {
    storeError(t, 'ORIGIN_INVALID', () => checkOrigin(name));
  });
}
