import test from 'ava';
import { tableLines } from '../../src/cli/render/table.js';
import { createColors, jsonText, paintJson } from '../../src/cli/render/text.js';

test('JSON of a string of many megabytes is painted', (t) => {
  const text = jsonText({ key: '\u007f'.repeat(4_000_000) });
  t.is(paintJson(text, createColors(true)), `{\u001b[36m"key"\u001b[39m:\u001b[32m${text.slice(7, -1)}\u001b[39m}`);
});

test('a table of more rows than a call takes arguments is drawn', (t) => {
  const rows = Array.from({ length: 200_000 }, (_, at) => [`${at}`]);
  const lines = tableLines([{ title: 'AT' }], rows, { colors: createColors(false) });
  t.is(lines.length, rows.length + 1);
  t.is(lines.at(-1), '199999');
});
