import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import ts from 'typescript';
import { fixturePath, projectRoot } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const run = promisify(execFile);
const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
const library = readFileSync(join(projectRoot, 'docs', 'LIBRARY.md'), 'utf8');

/** The code blocks of a page in one language. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code ?? '');
}

for (const [title, page] of [
  ['the README', readme],
  ['docs/LIBRARY.md', library],
] as const) {
  test(`the example of ${title} is valid TypeScript for a strict project`, async (t) => {
    const directory = await temporaryDirectory(t);
    const file = join(directory, 'example.ts');
    writeFileSync(file, blocks(page, 'ts').join('\n'));
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
}

/** Runs the example of a page on an archive of docker's and returns what it prints. */
async function printedBy(t: ExecutionContext, page: string): Promise<string> {
  const directory = await temporaryDirectory(t);
  copyFileSync(fixturePath('archives', 'docker25-all.tar'), join(directory, 'shop.tar'));
  const index = pathToFileURL(join(projectRoot, 'dist', 'src', 'index.js')).href;
  const { outputText } = ts.transpileModule(
    blocks(page, 'ts').join('\n').replace("'imagelog'", JSON.stringify(index)),
    {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    },
  );
  const script = join(directory, 'example.mjs');
  writeFileSync(script, outputText);
  const { stdout } = await run(process.execPath, [script], { cwd: directory });
  return stdout;
}

test('the example of the README runs and says what it promises', async (t) => {
  const expected = /^(sha256:[0-9a-f]{64})\nnot there yet\n\1 \d{4}-[^\n]*Z ci@build-7 release 1\.0\ndeploy \d+\n$/;
  t.regex(await printedBy(t, readme), expected);
});

test('the example of docs/LIBRARY.md runs and says what it promises', async (t) => {
  const stdout = await printedBy(t, library);
  t.regex(stdout, /^sha256:[0-9a-f]{64} 5 3\n/);
  t.regex(stdout, /ci@build-7 release 1\.0 ReferenceSet\n/);
  t.regex(stdout, /\ndeploy \d+\n1\n\[\]\n$/);
});

// No command may rely on what the authors' archive has.
for (const archive of ['docker25-all.tar', 'skopeo-tiny-1.tar', 'oci-multi-platform.tar']) {
  test(`the commands of the README run one after another, on ${archive}`, async (t) => {
    const directory = await temporaryDirectory(t);
    copyFileSync(fixturePath('archives', archive), join(directory, 'archive.tar'));
    const commands = blocks(readme, 'sh')
      .join('')
      .split('\n')
      .filter((line) => /\bimagelog\b/.test(line));
    t.true(commands.length >= 10);
    const main = join(projectRoot, 'dist', 'src', 'cli', 'main.js');
    const env = { ...process.env, IMAGELOG_STORE: join(directory, 'store') };
    const script = ['set -eu', `imagelog() { "${process.execPath}" "${main}" "$@"; }`, ...commands].join('\n');
    const { stdout } = await run('/bin/sh', ['-c', script], { cwd: directory, env });
    t.regex(stdout, /release 1\.0/);
    t.regex(stdout, /INC-77/);
  });
}

test('the questions of the README are answered by the store that the demo keeps', async (t) => {
  const directory = join(await temporaryDirectory(t), 'kept');
  await run(process.execPath, [join(projectRoot, 'dist', 'scripts', 'demo.js'), '--keep', directory]);
  const main = join(projectRoot, 'dist', 'src', 'cli', 'main.js');
  const questions = [...readme.matchAll(/^\|[^|]*\? +\| `(imagelog [^`]*)` +\|$/gm)].map(([, command = '']) => command);
  t.is(questions.length, 7);
  for (const command of questions) {
    const env = { ...process.env, IMAGELOG_STORE: directory };
    const script = `imagelog() { "${process.execPath}" "${main}" "$@"; }\n${command}`;
    const { stdout } = await run('/bin/sh', ['-c', script], { env });
    t.true(stdout.length > 20, command);
  }
});

test('the picture of the README is what the demo prints', async (t) => {
  const { stdout } = await run(process.execPath, [join(projectRoot, 'dist', 'scripts', 'demo.js')]);
  const [picture = ''] = blocks(readme, 'console');
  t.true(picture.length > 500);
  t.true(stdout.includes(picture));
});

test('the README is short enough to read', (t) => {
  t.true(readme.split('\n').length <= 181);
});

test('the README names the two commands of a newcomer', (t) => {
  const lines = blocks(readme, 'sh').join('').split('\n');
  t.true(lines.includes('npm ci && npm run demo'));
  t.true(lines.includes('npm ci && npm test'));
});
