import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import ts from 'typescript';
import { fixturePath, projectRoot } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const run = promisify(execFile);
const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');

/** The code blocks of the README in one language. */
function blocks(language: string): string[] {
  return [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code ?? '');
}

test('the library example of the README is valid TypeScript for a strict project', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'example.ts');
  writeFileSync(file, blocks('ts').join('\n'));
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: ['node'],
    typeRoots: [join(projectRoot, 'node_modules', '@types')],
    paths: { imagelog: [join(projectRoot, 'dist', 'src', 'index.d.ts')] },
  });
  const found = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  t.deepEqual(found, []);
});

test('the library example of the README runs and says what it promises', async (t) => {
  const directory = await temporaryDirectory(t);
  copyFileSync(fixturePath('archives', 'docker25-all.tar'), join(directory, 'shop.tar'));
  const library = pathToFileURL(join(projectRoot, 'dist', 'src', 'index.js')).href;
  const { outputText } = ts.transpileModule(blocks('ts').join('\n').replace("'imagelog'", JSON.stringify(library)), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
  });
  const script = join(directory, 'example.mjs');
  writeFileSync(script, outputText);
  const { stdout } = await run(process.execPath, [script], { cwd: directory });
  t.regex(stdout, /^sha256:[0-9a-f]{64} 5 3\n/);
  t.regex(stdout, /ci@build-7 release 1\.0 ReferenceSet\n/);
  t.regex(stdout, /\ndeploy \d+\n1\n\[\]\n$/);
});

test('the commands of the README run one after another', async (t) => {
  const directory = await temporaryDirectory(t);
  copyFileSync(fixturePath('archives', 'docker25-all.tar'), join(directory, 'shop.tar'));
  const commands = blocks('sh')
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('imagelog '));
  t.true(commands.length >= 10);
  const main = join(projectRoot, 'dist', 'src', 'cli', 'main.js');
  const env = { ...process.env, IMAGELOG_STORE: join(directory, 'store') };
  const script = ['set -eu', `imagelog() { "${process.execPath}" "${main}" "$@"; }`, ...commands].join('\n');
  const { stdout } = await run('/bin/sh', ['-c', script], { cwd: directory, env });
  t.regex(stdout, /release 2\.0/);
});

test('the README names the two commands of a newcomer', (t) => {
  const lines = blocks('sh').join('').split('\n');
  t.true(lines.includes('npm ci && npm run demo'));
  t.true(lines.includes('npm ci && npm test'));
});
