import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { scripts } from '../../src/cli/completion/scripts.js';
import { type Shell, shells } from '../../src/cli/completion/scripts.js';
import { openStore } from '../../src/store/open/open-store.js';
import { requires } from '../support/requires.js';
import { serveHere } from './serve-here.js';
import { archive, type Session, startSession } from './session.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** A session with images, and with `imagelog` in a folder for the PATH. */
async function startShell(t: ExecutionContext): Promise<Session & { readonly env: NodeJS.ProcessEnv }> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-all.tar'));
  const bin = join(session.folder, 'bin');
  await mkdir(bin);
  const program = join(bin, 'imagelog');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  await chmod(program, 0o755);
  await writeFile(join(session.folder, 'shop.tar'), '');
  await mkdir(join(session.folder, 'shopping'));
  const path = `${bin}:${process.env['PATH'] ?? ''}`;
  return {
    ...session,
    env: {
      PATH: path,
      HOME: session.folder,
      IMAGELOG_STORE: session.store,
      TERM: 'dumb',
      HISTFILE: '',
      LC_ALL: 'C.UTF-8',
    },
  };
}

/** What completes the last of the words: the kind, then the values. */
async function completed({ done }: Session, ...words: string[]): Promise<string[]> {
  const lines = (await done('completion', 'bash', '--', ...words)).trimEnd().split('\n');
  return lines.map((line) => line.split('\t')[0] as string);
}

const completes = test.macro({
  title: (_, words: readonly string[]) => `\`imagelog ${words.join(' ')}\` is completed`,
  exec: async (t: ExecutionContext, words: readonly string[], expected: readonly string[]) => {
    const session = await startSession(t);
    await session.done('load', '--quiet', archive('docker25-all.tar'));
    t.deepEqual(await completed(session, ...words), [...expected]);
  },
});

test(completes, ['ta'], ['words', 'tag']);
test(completes, ['nope'], ['words']);
test(completes, ['help', 'unt'], ['words', 'untag']);
test(completes, ['consumers', 're'], ['words', 'reset']);
test(completes, ['at', '3', 'in'], ['words', 'inspect']);
test(completes, ['at', '3', 'load'], ['words']);
test(completes, ['at', '3', 'inspect', 'twi'], ['words', 'twice:1']);
test(completes, ['tag', '--no-o'], ['words', '--no-overwrite']);
test(completes, ['--json', 'tag', '--rea'], ['words', '--reason']);
test(completes, ['tag', '--reason', 'shop'], ['words']);
test(completes, ['tag', '--reason', 'shop', 'shop/app:1'], ['words', 'shop/app:1.0']);
test(completes, ['tag', 'shop/app:1.0', 'shop/app:2'], ['words', 'shop/app:2.0']);
test(completes, ['untag', 'shop/app:2.0', ''], ['words']);
test(completes, ['inspect', 'bb0c8'], ['words', 'bb0c8ffbd8b1']);
test(completes, ['save', '--format', 'o'], ['words', 'oci']);
test(completes, ['save', '--format=o'], ['words', '--format=oci']);
test(completes, ['log', '--type', 'ImageD'], ['words', 'ImageDeleted']);
test(completes, ['log', '--actor', ''], ['words']);
test(completes, ['log', '--reference', 'shop/app:1'], ['words', 'shop/app:1.0']);
test(completes, ['log', '--image=bb0c8'], ['words', '--image=bb0c8ffbd8b1']);
test(completes, ['completion', ''], ['words', 'bash', 'zsh', 'fish']);
test(completes, ['load', 'a'], ['files']);
test(completes, ['backup', ''], ['folders']);
test(completes, ['images', '--store', ''], ['folders']);
test(completes, ['images', '--store=x'], ['folders']);
test(completes, ['--', 'tag', '--no'], ['words']);

test('consumers are completed by name', async (t) => {
  const session = await startSession(t);
  const store = await openStore(session.store);
  await store.consumer('mirror@1').close();
  await store.close();
  t.deepEqual(await completed(session, 'consumers', 'rm', 'mi'), ['words', 'mirror@1']);
  t.deepEqual(await completed(session, 'log', '--consumer', ''), ['words', 'mirror@1']);
});

test('a store that is not there or damaged, and a word with a quote, give nothing and no error', async (t) => {
  const session = await startSession(t);
  t.deepEqual(await completed(session, 'inspect', ''), ['words']);
  await mkdir(session.store);
  await writeFile(join(session.store, 'imagelog.json'), 'damaged');
  t.deepEqual(await completed(session, 'inspect', ''), ['words']);
  t.deepEqual(await completed(session, '--store', "'not closed", 'inspect', '"'), ['words']);
});

test('the store of --store is read, without a wait for who writes to it', async (t) => {
  const session = await startSession(t);
  const other = join(session.folder, 'other');
  await using store = await openStore(other);
  await store.load(archive('skopeo-tiny-1.tar'));
  t.deepEqual(await completed(session, '--store', other, 'resolve', 't'), ['words', 'tiny:1']);
  t.deepEqual(await completed(session, 'resolve', `--store="${other}"`, 't'), ['words', 'tiny:1']);
  t.deepEqual(await completed(session, 'resolve', '--store', '~/other', 't'), ['words']);
});

for (const shell of shells) {
  requires(shell)(`${shell} finds no fault in its script, and it is the one printed`, async (t) => {
    const { done, folder } = await startSession(t);
    const script = await done('completion', shell);
    t.is(script, `${scripts[shell]}\n`);
    const file = join(folder, 'script');
    await writeFile(file, script);
    t.notThrows(() => execFileSync(shell, ['-n', file]));
  });
}

/** Types `keys` into an interactive shell on a terminal, until it has printed what matches. */
async function type(
  t: ExecutionContext,
  { env, folder }: { env: NodeJS.ProcessEnv; folder: string },
  program: string,
  keys: readonly string[],
  until: RegExp,
): Promise<string> {
  const child = spawn('script', ['-qec', program, '/dev/null'], { env, cwd: folder, stdio: 'pipe' });
  t.teardown(() => child.kill('SIGKILL'));
  let printed = '';
  let isDone = false;
  child.stdin.write(keys.join(''));
  // To its end: a shell that is killed may still write its history.
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    printed += chunk.toString();
    if (isDone || !until.test(printed)) continue;
    isDone = true;
    child.stdin.write('exit\n');
  }
  return printed;
}

const interactive: Readonly<Record<Shell, readonly [program: string, ...lines: string[]]>> = {
  bash: ['bash --norc -i', 'source <(imagelog completion bash)\n'],
  zsh: ['zsh -f -i', 'autoload -U compinit; compinit -u -D; source <(imagelog completion zsh)\n'],
  fish: ['fish --no-config -i', 'imagelog completion fish | source\n'],
};

for (const shell of ['bash', 'zsh'] as const) {
  const [program, ...lines] = interactive[shell];
  requires(shell, 'script')(`${shell} on a terminal completes a reference after its colon, and a file`, async (t) => {
    const session = await startShell(t);
    const typed = await type(t, session, program, [...lines, 'imagelog resolve shop/app:1\t\n'], /sha256:bb0c8ffb/);
    t.regex(typed, /sha256:bb0c8ffb/, 'the command that was completed ran');
    const files = await type(t, session, program, [...lines, 'imagelog load --quiet shop.t\t\n'], /ARCHIVE_\w+/);
    t.regex(files, /shop\.tar.*\(ARCHIVE_/s);
  });
}

requires('bash')(
  'bash puts words together that it splits at colons, and replaces only what is after them',
  async (t) => {
    const { env, folder } = await startShell(t);
    const replies = (line: string, ...words: string[]): string[] => {
      const script = `
      source <(imagelog completion bash)
      COMP_LINE=$1; COMP_POINT=\${#1}; shift
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      _imagelog imagelog
      printf '%s\\n' "\${COMPREPLY[@]}"`;
      const printed = execFileSync('bash', ['-c', script, 'bash', line, ...words], { env, cwd: folder });
      return printed.toString().trimEnd().split('\n');
    };
    t.deepEqual(replies('imagelog resolve shop/app:1', 'imagelog', 'resolve', 'shop/app', ':', '1'), ['1.0']);
    t.deepEqual(replies('imagelog resolve shop/app:', 'imagelog', 'resolve', 'shop/app', ':'), [
      '1.0',
      '2.0',
      'latest',
    ]);
    t.deepEqual(replies('imagelog resolve twi', 'imagelog', 'resolve', 'twi'), ['twice:1']);
    t.deepEqual(replies('imagelog save --format=o', 'imagelog', 'save', '--format', '=', 'o'), ['oci']);
    t.deepEqual(replies('imagelog   unt', 'imagelog', 'unt'), ['untag']);
    // What was typed is never run.
    t.deepEqual(replies('imagelog resolve $(touch bad)x', 'imagelog', 'resolve', '$(touch bad)x'), ['']);
    t.throws(() => execFileSync('test', ['-e', join(folder, 'bad')]));
  },
);

requires('fish')('fish completes commands, options, references, files and folders', async (t) => {
  const { env, folder } = await startShell(t);
  const replies = (line: string): string[] => {
    const script = `imagelog completion fish | source; complete -C '${line}'`;
    const printed = execFileSync('fish', ['--no-config', '-c', script], { env, cwd: folder });
    return printed
      .toString()
      .trimEnd()
      .split('\n')
      .map((each) => each.split('\t')[0] as string);
  };
  t.deepEqual(replies('imagelog unt'), ['untag']);
  t.deepEqual(replies('imagelog resolve shop/app:1'), ['shop/app:1.0']);
  t.deepEqual(replies('imagelog tag --no-o'), ['--no-overwrite']);
  t.deepEqual(replies('imagelog load shop.t'), ['shop.tar']);
  t.deepEqual(replies('imagelog backup shop'), ['shopping/']);
  t.deepEqual(replies('imagelog images --store=shop'), ['--store=shopping/']);
});

test('names come from the server that holds the store, or that is named', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('docker25-all.tar'));
  const served = await serveHere(t, session.store);
  const other = await startSession(t);
  await other.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const ask = async (env: Readonly<Record<string, string>>, ...words: string[]): Promise<string[]> => {
    const argv = ['completion', 'bash', '--', ...words];
    const { code, stdout, stderr } = await other.runIn({ env, isAnywhere: true }, ...argv);
    t.deepEqual([code, stderr], [0, '']);
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '');
  };
  const host = { IMAGELOG_HOST: served.url, IMAGELOG_STORE: '' };
  t.deepEqual(await ask(host, 'untag', 'shop/app:1'), ['words', 'shop/app:1.0']);
  t.deepEqual(await ask(host, 'log', '--image=bb0c8'), ['words', '--image=bb0c8ffbd8b1']);
  t.deepEqual(await ask(host, 'log', '--consumer', ''), ['words']);
  t.deepEqual(await ask({}, '--host', served.url, 'inspect', 'twi'), ['words', 'twice:1']);
  t.deepEqual(await ask({}, 'inspect', `--store=${session.store}`, 'twi'), ['words', 'twice:1']);
  t.is(served.ran(), 5);
  t.deepEqual(await ask({ IMAGELOG_HOST: served.url }, '--no-host', 'inspect', 'tin'), ['words', 'tiny:1']);
  t.deepEqual(await ask(host, 'inspect', '--js'), ['words', '--json']);
  t.is(served.ran(), 5, 'nothing else does');
  t.deepEqual(served.failures, []);
});

test('a server that is not there, refuses or is silent completes nothing, soon', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  const refusing = createServer((socket) => socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'));
  refusing.listen(0, '127.0.0.1');
  t.teardown(() => {
    silent.close();
    refusing.close();
  });
  const portOf = async (server: Server): Promise<number> => {
    if (!server.listening) await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  for (const port of [1, await portOf(refusing), await portOf(silent)]) {
    const startedAt = performance.now();
    const host = `http://127.0.0.1:${port}`;
    const argv = ['completion', 'bash', '--', '--host', host, 'inspect', ''];
    const { code, stdout, stderr } = await session.runIn({ isAnywhere: true }, ...argv);
    t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'words\n', stderr: '' }, String(port));
    t.true(performance.now() - startedAt < 3_000);
  }
});
