import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'ava';
import { isInstalled, requires } from './requires.js';

test('a program on the PATH gives ava itself', (t) => {
  t.is(requires('node'), test);
});

test('a program that is nowhere on the PATH is not installed', (t) => {
  t.false(isInstalled('no-such-program-of-this-project'));
  t.not(requires('no-such-program-of-this-project'), test);
});

test('only an executable file is an installed program', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'imagelog-requires-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const program = join(folder, 'program');
  writeFileSync(program, '');
  chmodSync(program, 0o644);
  t.false(isInstalled('program', folder));
  chmodSync(program, 0o755);
  t.true(isInstalled('program', ['', folder].join(delimiter)));
});
