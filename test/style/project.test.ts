import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { errorKinds } from '../../src/errors.js';
import * as limits from '../../src/limits.js';
import { projectRoot } from '../support/fixtures.js';
import { vagueExports } from './exports.js';
import { wrongImports } from './layers.js';
import { longFiles, longFunctions } from './lengths.js';
import { datedPhrases } from './plain-words.js';
import { deadFiles } from './reachable.js';
import { type Register, undocumentedNames, untestedNames, unusedNames } from './register.js';
import { type Finding, formatFindings, projectFiles, projectSources, type Source } from './sources.js';
import { nodeTies, strayPrints } from './surroundings.js';
import { emptyCatches, heldBackTests } from './unfinished.js';
import { bannedWords, machinePaths, type Text } from './words.js';

const sources = projectSources();
const texts = projectTexts();
const codes = registerAt('src/errors.ts', Object.keys(errorKinds));
const bounds = registerAt('src/limits.ts', Object.keys(limits));

function registerAt(path: string, names: readonly string[]): Register {
  return { path, text: readFileSync(join(projectRoot, path), 'utf8'), names };
}

/** Every text file that is ours: code, documents, configuration. */
function projectTexts(): Text[] {
  const documents = existsSync(join(projectRoot, 'docs')) ? projectFiles(['docs', 'findings']) : [];
  const atRoot = [
    'README.md',
    'CHANGELOG.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'package.json',
    'tsconfig.json',
    '.ci/run',
    ...readdirSync(projectRoot).filter((name) => name.endsWith('.config.js')),
  ];
  const paths = [...projectFiles(['src', 'projections', 'scripts', 'test']), ...documents, ...atRoot];
  return paths
    .filter((path) => /\.(ts|js|json|md|sh|txt)$|^\.ci\/run$/.test(path) && !path.startsWith('docs/api/'))
    .filter((path) => existsSync(join(projectRoot, path)))
    .map((path) => ({ path, text: readFileSync(join(projectRoot, path), 'utf8') }));
}

/** Test files that the build did not put in exactly one suite; those of other configurations belong in none. */
function wronglySuited(): Finding[] {
  const folder = join(projectRoot, 'dist', 'test-suites');
  const imported = readdirSync(folder).flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/^import '..\/(.*)\.js';$/gm)].map(
      ([, path]) => `${path}.ts`,
    ),
  );
  return sources.flatMap(({ path }) => {
    if (!path.endsWith('.test.ts')) return [];
    const expected = /^test\/(slow|interop)\//.test(path) ? 0 : 1;
    const found = imported.filter((other) => other === path).length;
    return found === expected ? [] : [{ path, line: 1, message: `is in ${found} suites, expected ${expected}` }];
  });
}

const holds = test.macro((t, check: () => readonly Finding[]) => {
  const findings = check();
  if (findings.length > 0) t.fail(`\n${formatFindings(findings)}`);
  t.pass();
});

function eachSource(rule: (source: Source) => Finding[]): () => Finding[] {
  return () => sources.flatMap((source) => rule(source));
}

test('the inspection sees the project', (t) => {
  const paths = sources.map(({ path }) => path);
  t.true(paths.includes('src/errors.ts'));
  t.true(paths.includes('test/style/project.test.ts'));
  t.false(paths.some((path) => path.startsWith('test/fixtures/')));
});

test('no file is longer than 600 lines', holds, eachSource(longFiles));
test('no function is longer than 70 lines', holds, eachSource(longFunctions));
test('imports follow the arrows of the design', holds, eachSource(wrongImports));
test('model, log and projections run without Node', holds, eachSource(nodeTies));
test('only the command line and the scripts print', holds, eachSource(strayPrints));
test('exports have names', holds, eachSource(vagueExports));
test('every test runs', holds, eachSource(heldBackTests));
test('every test file of the quick suite is in one suite', holds, wronglySuited);
test('no catch is empty', holds, eachSource(emptyCatches));
test('every file of the product is reached from an entry', holds, () => deadFiles(sources));
test('no file has banned words', holds, () => texts.flatMap(bannedWords));
test('prose has the plainer words', holds, () => texts.flatMap(datedPhrases));
test('no file names the path of a machine', holds, () => texts.flatMap((text) => machinePaths(text)));
test('every error code is thrown somewhere', holds, () => unusedNames(codes, sources));
test('every error code is named in a test', holds, () => untestedNames(codes, texts));
test('every limit is used', holds, () => unusedNames(bounds, sources));
test('every limit is named in a test', holds, () => untestedNames(bounds, texts));
test('src/ERRORS.md explains every error code', holds, () => {
  const page = texts.find(({ path }) => path === 'src/ERRORS.md');
  return undocumentedNames(codes, page?.text ?? '');
});
