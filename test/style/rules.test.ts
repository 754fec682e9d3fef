import test from 'ava';
import { vagueExports } from './exports.js';
import { wrongImports } from './layers.js';
import { longFiles, longFunctions } from './lengths.js';
import { deadFiles } from './reachable.js';
import { undocumentedNames, untestedNames, unusedNames } from './register.js';
import { type Finding, formatFindings, type Source, sourceOf } from './sources.js';
import { nodeTies, strayPrints } from './surroundings.js';
import { emptyCatches, heldBackTests } from './unfinished.js';
import { bannedWords, machinePaths } from './words.js';

type Rule = (source: Source) => Finding[];

/** The rule objects exactly at `lines` to a file of this path and text. */
const objects = test.macro((t, rule: Rule, path: string, text: string, ...lines: number[]) => {
  t.deepEqual(
    rule(sourceOf(path, text)).map(({ line }) => line),
    lines,
  );
});

/** The rule accepts a file of this path and text. */
const accepts = test.macro((t, rule: Rule, path: string, text: string) => {
  t.deepEqual(rule(sourceOf(path, text)), []);
});

const linesOf = (count: number): string => '// a line\n'.repeat(count);
const functionOf = (lines: number): string => `function long() {\n${'  1;\n'.repeat(lines - 2)}}\n`;

test('a file of 600 lines is accepted', accepts, longFiles, 'src/a.ts', linesOf(600));
test('a file of 601 lines is not', objects, longFiles, 'src/a.ts', linesOf(601), 601);
test('a function of 70 lines is accepted', accepts, longFunctions, 'src/a.ts', functionOf(70));
test('a function of 71 lines is not', objects, longFunctions, 'src/a.ts', functionOf(71), 1);
test('a method of 71 lines is not', objects, longFunctions, 'src/a.ts', `class A {\n${functionOf(71).slice(9)}}`, 2);
test('a callback of 71 lines is not', objects, longFunctions, 'test/a.test.ts', `\nrun(${functionOf(71)});`, 2);

const imports = (path: string): string => `import { a } from '${path}';`;

test('model may import errors', accepts, wrongImports, 'src/model/a.ts', imports('../errors.js'));
test('model may import model', accepts, wrongImports, 'src/model/a.ts', imports('./b.js'));
test('model may import a package', accepts, wrongImports, 'src/model/a.ts', imports('@noble/hashes/sha2.js'));
test('limits may not import errors', objects, wrongImports, 'src/limits.ts', imports('./errors.js'), 1);
test('model may not import log', objects, wrongImports, 'src/model/a.ts', imports('../log/b.js'), 1);
test('log may not import projections', objects, wrongImports, 'src/log/a.ts', imports('../../projections/b.js'), 1);
test('projections may import log', accepts, wrongImports, 'projections/a.ts', imports('../src/log/b.js'));
test('projections may not import store', objects, wrongImports, 'projections/a.ts', imports('../src/store/b.js'), 1);
test('tar may not import archive', objects, wrongImports, 'src/archive/tar-a.ts', imports('./b.js'), 1);
test('archive may import tar', accepts, wrongImports, 'src/archive/a.ts', imports('./tar-b.js'));
test('store may import tar', accepts, wrongImports, 'src/store/a.ts', imports('../archive/tar-b.js'));
test('archive may not import log', objects, wrongImports, 'src/archive/a.ts', imports('../log/b.js'), 1);
test('store may not import archive', objects, wrongImports, 'src/store/a.ts', imports('../archive/b.js'), 1);
test('load may import archive', accepts, wrongImports, 'src/store/loadImages.ts', imports('../archive/b.js'));
test('save may import archive', accepts, wrongImports, 'src/store/saveImages.ts', imports('../archive/b.js'));
test('commands may import files', accepts, wrongImports, 'src/store/commands/a.ts', imports('../files/b.js'));
test('files may not import commands', objects, wrongImports, 'src/store/files/a.ts', imports('../commands/b.js'), 1);
test(
  'nor may they import their types',
  objects,
  wrongImports,
  'src/store/files/a.ts',
  `import type { A } from '../context.js';`,
  1,
);
test('a member may import the context', accepts, wrongImports, 'src/store/past/a.ts', imports('../context.js'));
test('the context may not import a member', objects, wrongImports, 'src/store/context.ts', imports('./past/a.js'), 1);
test(
  'the folder open may not open stores',
  objects,
  wrongImports,
  'src/store/open/a.ts',
  imports('./open-store.js'),
  1,
);
test('a file of src/store has a place', objects, wrongImports, 'src/store/files/a.ts', imports('../b.js'), 1);

test('a wrong import inside src/store says where it belongs', (t) => {
  const found = wrongImports(sourceOf('src/store/files/a.ts', imports('../past/b.js')));
  t.regex(found[0]?.message ?? '', /past\/ stands above files\/; what both need belongs in files\/ or below it/);
});
test('store may not import cli', objects, wrongImports, 'src/store/load.ts', imports('../cli/b.js'), 1);
test('the index may not import cli', objects, wrongImports, 'src/index.ts', imports('./cli/b.js'), 1);
test('the product may not import tests', objects, wrongImports, 'src/store/a.ts', imports('../../test/b.js'), 1);
test(
  'types follow the arrows too',
  objects,
  wrongImports,
  'src/log/a.ts',
  `import type { A } from '../store/b.js';`,
  1,
);
test('re-exports follow the arrows', objects, wrongImports, 'src/log/a.ts', `\nexport { a } from '../store/b.js';`, 2);
test('import() follows the arrows', objects, wrongImports, 'src/log/a.ts', `await import('../store/b.js');`, 1);
test('import types follow the arrows', objects, wrongImports, 'src/log/a.ts', `let a: import('../store/b.js').A;`, 1);
test('a new folder needs a layer', objects, wrongImports, 'src/misc/a.ts', '', 1);

test('model may not import node:fs', objects, nodeTies, 'src/model/a.ts', imports('node:fs'), 1);
test('log may not import node types', objects, nodeTies, 'src/log/a.ts', `import type { A } from 'node:fs';`, 1);
test('projections may not use Buffer', objects, nodeTies, 'projections/a.ts', `\nBuffer.from('');`, 2);
test('model may not take a Buffer type', objects, nodeTies, 'src/model/a.ts', 'let a: Buffer;', 1);
test('model may not read process', objects, nodeTies, 'src/model/a.ts', 'process.env;', 1);
test('a member may be named Buffer', accepts, nodeTies, 'src/model/a.ts', 'const a = { Buffer: 1 }; a.Buffer;');
test('the hash of Node may import node:crypto', accepts, nodeTies, 'src/model/sha256-node.ts', imports('node:crypto'));
test('log may not open LevelDB', objects, nodeTies, 'src/log/a.ts', imports('level'), 1);
test('log may name its types', accepts, nodeTies, 'src/log/a.ts', `import type { Level } from 'level';`);
test('its folder leveldb may open it', accepts, nodeTies, 'src/log/leveldb/a.ts', imports('level'));
test('log may not lead there', objects, nodeTies, 'src/log/a.ts', imports('./leveldb/level-log.js'), 1);
test('projections may not lead there', objects, nodeTies, 'projections/a.ts', imports('../src/log/leveldb/b.js'), 1);
test('store may import node:fs', accepts, nodeTies, 'src/store/a.ts', imports('node:fs'));

test('store may not use console', objects, strayPrints, 'src/store/a.ts', `console.log('a');`, 1);
test('tests may not use console', objects, strayPrints, 'test/a.test.ts', `\nconsole.log('a');`, 2);
test('store may not write to stdout', objects, strayPrints, 'src/store/a.ts', `process.stdout.write('a');`, 1);
test('store may not write to stderr', objects, strayPrints, 'src/store/a.ts', 'pipe(process.stderr);', 1);
test('store may read the platform', accepts, strayPrints, 'src/store/a.ts', 'process.platform;');
test('the command line may print', accepts, strayPrints, 'src/cli/a.ts', `console.log('a');`);
test('scripts may print', accepts, strayPrints, 'scripts/a.ts', `process.stdout.write('a');`);

test('a default export is not accepted', objects, vagueExports, 'src/a.ts', 'export default 1;', 1);
test('nor a default function', objects, vagueExports, 'src/a.ts', 'export default function a() {}', 1);
test('nor a name exported as default', objects, vagueExports, 'src/a.ts', 'const a = 1;\nexport { a as default };', 2);
test('export * is not accepted', objects, vagueExports, 'src/store/a.ts', `export * from './b.js';`, 1);
test('nor export * under a name', objects, vagueExports, 'src/store/a.ts', `export * as b from './b.js';`, 1);
test('the index may export *', accepts, vagueExports, 'src/index.ts', `export * from './b.js';`);

test('a skipped test is not accepted', objects, heldBackTests, 'test/a.test.ts', `\ntest.skip('a', run);`, 2);
test('nor an only test', objects, heldBackTests, 'test/a.test.ts', `test.only('a', run);`, 1);
test('nor a serial skipped one', objects, heldBackTests, 'test/a.test.ts', `test.serial.skip('a', run);`, 1);
test('nor an expected failure', objects, heldBackTests, 'test/a.test.ts', `test.failing('a', run);`, 1);
test('requires may skip', accepts, heldBackTests, 'test/support/requires.ts', `test.skip('a', run);`);
test('other things may skip', accepts, heldBackTests, 'test/a.test.ts', 'reader.skip(4);');

test('an empty catch is not accepted', objects, emptyCatches, 'src/a.ts', 'try {\n  run();\n} catch {}', 3);
test('nor an empty rejection handler', objects, emptyCatches, 'src/a.ts', 'run().catch(() => {});', 1);
test(
  'a catch that says why is accepted',
  accepts,
  emptyCatches,
  'src/a.ts',
  'try { run(); } catch {\n  // Gone already.\n}',
);
test('a catch that answers is accepted', accepts, emptyCatches, 'src/a.ts', 'try { run(); } catch { return false; }');

for (const word of ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK']) {
  test(`the word ${word} is not accepted`, objects, bannedWords, 'src/a.ts', `\n// ${word} later`, 2);
}
test('silencing the compiler is not accepted', objects, bannedWords, 'src/a.ts', `// @ts-${'ignore'}`, 1);
test('silencing the linter is not accepted', objects, bannedWords, 'src/a.ts', `// biome-${'ignore'} lint: no`, 1);
test('words that hold a banned word are accepted', accepts, bannedWords, 'src/a.ts', '// MASTODON, hackney');

test('a home folder is not accepted', objects, machinePaths, 'src/a.ts', `read('/${'home'}/ann/a');`, 1);
test('nor one of a Mac', objects, machinePaths, 'src/a.ts', `read('/${'Users'}/ann/a');`, 1);
test(
  'nor the checkout itself',
  objects,
  (source) => machinePaths(source, '/srv/builds/a'),
  'a.md',
  '`/srv/builds/a/b`',
  1,
);
test('a path in an image is accepted', accepts, machinePaths, 'test/a.test.ts', `'/usr/bin/env /etc/passwd'`);

const entry = sourceOf('src/index.ts', `export { a } from './store/a.js';`);
const reached = sourceOf('src/store/a.ts', 'export const a = 1;');
const dead = sourceOf('src/store/b.ts', 'export const b = 1;');
const onlyTest = sourceOf('test/store/b.test.ts', `import { b } from '../../src/store/b.js';`);

test('a file that only a test imports is dead', (t) => {
  const findings = deadFiles([entry, reached, dead, onlyTest], ['src/index.ts']);
  t.deepEqual(
    findings.map(({ path }) => path),
    ['src/store/b.ts'],
  );
});

test('a missing entry is reported', (t) => {
  t.deepEqual(
    deadFiles([], ['src/index.ts']).map(({ path }) => path),
    ['src/index.ts'],
  );
});

test('a name that only its register and a comment use is unused', (t) => {
  const register = sourceOf('src/limits.ts', 'export const MAX_A = 1, MAX_B = 2, MAX_C = 3;');
  const user = sourceOf('src/store/a.ts', `// MAX_A\nrefuse(MAX_B, 'MAX_C');`);
  const findings = unusedNames({ ...register, names: ['MAX_A', 'MAX_B', 'MAX_C'] }, [register, user]);
  t.deepEqual(
    findings.map(({ message }) => message.split(' ')[0]),
    ['MAX_A'],
  );
});

const codes = { path: 'src/errors.ts', text: `\nLOG_FAILED: '',\nIO_FAILED: '',`, names: ['IO_FAILED', 'LOG_FAILED'] };

test('a name that only the style tests know is untested', (t) => {
  const texts = [
    { path: 'test/style/a.ts', text: 'IO_FAILED' },
    { path: 'test/store/a.test.ts', text: `code: 'LOG_FAILED'` },
  ];
  const findings = untestedNames(codes, texts);
  t.deepEqual(
    findings.map(({ line, message }) => `${line} ${message.split(' ')[0]}`),
    ['3 IO_FAILED'],
  );
});

test('a code that a page names outside its tables is undocumented', (t) => {
  const findings = undocumentedNames(codes, 'IO_FAILED\n| `LOG_FAILED` | the log failed |');
  t.deepEqual(
    findings.map(({ line, message }) => `${line} ${message.split(' ')[0]}`),
    ['3 IO_FAILED'],
  );
});

test('a finding reads as file, line and rule', (t) => {
  const findings = strayPrints(sourceOf('src/store/a.ts', `\nconsole.log('a');`));
  t.is(formatFindings(findings), 'src/store/a.ts:2 uses console; only src/cli and scripts print');
});
