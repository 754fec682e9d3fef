import test, { type ExecutionContext } from 'ava';
import { commandNames, understand } from './grammar.js';

const programHelp = `Usage: imagelog [options] [command]

A container image store that never forgets: its images, and all that ever
happened to them.

Options:
  -V, --version                       print the version
  -h, --help                          show help

Global options:
  --store <dir>                       where the store is ($IMAGELOG_STORE, else
                                      the user data directory)
  --host <url>                        a server that holds the store
                                      ($IMAGELOG_HOST)
  --no-host                           use the files of the store, even if a
                                      server holds it
  --json                              one JSON object a line, times in UTC
  --utc                               times in UTC, typed and printed (else
                                      local: $TZ)
  -q, --quiet                         say only what a script needs
  --wait <duration>                   how long to wait for a store in use (30s)
  --no-color                          no colours ($NO_COLOR does the same)
  --no-trunc                          whole ids in tables
  --no-pager                          no pager on a terminal ($IMAGELOG_PAGER,
                                      $PAGER, else less)
  --actor <name>                      who does it ($IMAGELOG_ACTOR, else
                                      user@host)
  --reason <text>                     why; kept in the log
  --request-id <id>                   what it belongs to, as a build or a
                                      ticket; kept in the log
  --key <file>                        private key that signs the checkpoint of
                                      the log ($IMAGELOG_KEY)

Archives:
  load [options] [files...]           read images from archives
  save [options] <names...>           write images to an archive

Registries:
  pull [options] <reference>          fetch an image from a registry
  push [options] <image> <reference>  send an image to a registry
  copy [options] <source> <target>    copy an image between registries

Images:
  images|ls [options]                 list the images
  tree [options]                      draw which image was made from which
  search [options] <term>             find ids by their first digits
  inspect [options] <names...>        show all that is known of an image
  history [options] <name>            show how an image was built
  meta [options] <image> [key]        show, set or delete metadata of an image
  referrers [options] <name>          list what is about an image
  rm|rmi [options] <names...>         remove references, images and artifacts

References:
  tag [options] <source> <reference>  point a reference at an image or artifact
  untag [options] <reference>         remove a reference and keep the image
  resolve [options] <reference>       print the id that a reference points at
  refs [options] <references...>      show what a name (or *:prod) ever meant

Log:
  log [options]                       search and show what happened; also CSV
  stats [options]                     count what is in the store
  consumers [options]                 list who follows the log, and how far

Evidence:
  key [options] <file>                make a key that signs checkpoints
  checkpoint [options]                print what commits to the whole log
  prove [options] <seq>               write a proof that an event is in the log
  check-proof [options] <file>        check a proof, without the store
  page [options]                      write a page that checks and shows the log
  verify [options] [directory]        check all that is kept against the events

Upkeep:
  backup [options] <directory>        write the store to a directory of files
  restore [options] <directory>       make the store of a backup
  erase [options] <digest>            erase bytes that nothing needs
  prune [options]                     free what nothing needs
  rebuild [options]                   rebuild all that the events imply
  version [options]                   print the versions in use

Service:
  serve [options]                     serve the store as a registry, over HTTP

The past:
  diff [options] <from> [to]          show what changed between two moments
  at [options] <when> <command...>    run a command that reads, in the past

Shell:
  completion [options] <shell>        print what completes commands in a shell
  env [options]                       list the settings and where they come from

Help:
  help [command...]                   show help of a command, with examples

The first \`load\` creates the store. \`imagelog help load\` shows examples, and
\`imagelog help log\` how to search: a ticket, a pattern, what was deleted, what a
consumer still owes, as CSV.

Exit codes: 0 done, 1 failed, also for a bad archive, 2 wrong usage,
  3 what is asked for is not there, 4 damage, or evidence that does not hold,
  5 busy: another process has the store open
`;

const tagHelp = `Usage: imagelog tag [options] <source> <reference>

Point a reference at an image or artifact.

A reference that points at another image moves, and the command says so; the log
keeps where it was.

Arguments:
  source             a reference, an id, or the first digits of an id or digest
  reference          the reference to set

Options:
  --no-overwrite     fail when the reference points at another image
  -h, --help         show help

Global options:
  --store <dir>      where the store is ($IMAGELOG_STORE, else the user data
                     directory)
  --host <url>       a server that holds the store ($IMAGELOG_HOST)
  --no-host          use the files of the store, even if a server holds it
  --json             one JSON object a line, times in UTC
  --utc              times in UTC, typed and printed (else local: $TZ)
  -q, --quiet        say only what a script needs
  --wait <duration>  how long to wait for a store in use (30s)
  --no-color         no colours ($NO_COLOR does the same)
  --no-trunc         whole ids in tables
  --no-pager         no pager on a terminal ($IMAGELOG_PAGER, $PAGER, else less)
  --actor <name>     who does it ($IMAGELOG_ACTOR, else user@host)
  --reason <text>    why; kept in the log
  --request-id <id>  what it belongs to, as a build or a ticket; kept in the log
  --key <file>       private key that signs the checkpoint of the log
                     ($IMAGELOG_KEY)

Examples:
  $ imagelog tag shop/app:1.0 shop/app:prod
      give an image one more reference, or move it there
  $ imagelog tag --reason "rollback" cb4c372bec4c shop/app:prod
      move a reference, and keep why
  $ imagelog tag --no-overwrite shop/app:1.0 shop/app:stable
      fail when the reference is another image
`;

const saysHelp = test.macro({
  title: (_, argv: readonly string[]) => `\`imagelog ${argv.join(' ')}\` says its help and is done`,
  exec: async (t: ExecutionContext, argv: readonly string[], help: string) => {
    t.like(await understand(...argv), { code: 0, stdout: help, stderr: '', action: undefined });
  },
});

test(saysHelp, ['--help'], programHelp);
test(saysHelp, ['help'], programHelp);
test(saysHelp, ['tag', '--help'], tagHelp);
test(saysHelp, ['help', 'tag'], tagHelp);

/** The examples in a help text, one command line each. */
function examplesOf(help: string): string[] {
  const [, examples = ''] = help.split('\nExamples:\n');
  return examples.split('\n').flatMap((line) => (line.startsWith('  $ ') ? [line.slice('  $ '.length)] : []));
}

/** The arguments of the `imagelog` in a shell line: quotes taken off, pipes and what is nested left out. */
function argumentsOf(line: string): string[] {
  const own = line
    .replace(/\$\([^)]*\)/g, 'cb4c372bec4c')
    .split(' | ')
    .find((part) => part.startsWith('imagelog '));
  const words = own?.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.slice(1).map((word) => word.replaceAll(/["']/g, ''));
}

for (const name of commandNames.filter((each) => each !== 'at')) {
  test(`\`imagelog help ${name}\` has examples, and each one is understood`, async (t) => {
    const { stdout } = await understand('help', ...name.split(' '));
    const examples = examplesOf(stdout);
    t.true(examples.length >= 2, stdout);
    t.true(
      stdout.split('\n').every((line) => line.length <= 80 || line.startsWith('  $ ')),
      'lines fit 80 columns',
    );
    for (const example of examples) {
      const { code, action, stderr } = await understand(...argumentsOf(example));
      t.deepEqual({ code, action, stderr }, { code: 0, action: name, stderr: '' }, example);
    }
  });
}

test('the examples of `imagelog help at` are understood as the commands that they run', async (t) => {
  const { stdout } = await understand('help', 'at');
  const understood = await Promise.all(examplesOf(stdout).map((each) => understand(...argumentsOf(each))));
  t.deepEqual(
    understood.map(({ action }) => action),
    ['images', 'inspect', 'refs', 'resolve', 'resolve'],
  );
});

for (const name of commandNames) {
  test(`\`imagelog help ${name}\` fits the list of commands, and says what each argument is`, async (t) => {
    const { code, stdout, stderr } = await understand('help', ...name.split(' '));
    t.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    t.true(
      stdout.split('\n').every((line) => line.length <= 80 || line.startsWith('  $ ')),
      stdout,
    );
    const [usage = ''] = stdout.split('\n');
    const named = [...usage.matchAll(/(?:<([a-z]+)[.>]|\[(?!options|command\])([a-z]+)[.\]])/g)].map(
      (match) => match[1] ?? match[2],
    );
    const [, said = ''] = /\nArguments:\n(.*?)\n\n/s.exec(stdout) ?? [];
    const told = said.split('\n').flatMap((line) => /^ {2}([a-z]+) {2,}\S/.exec(line)?.[1] ?? []);
    t.deepEqual(told, named);
  });
}

test('the version is that of the package', async (t) => {
  const { code, stdout } = await understand('--version');
  t.is(code, 0);
  t.regex(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('help of an unknown command is a usage error that names it', async (t) => {
  const { code, stdout, stderr } = await understand('help', 'nope');
  t.deepEqual({ code, stdout }, { code: 2, stdout: '' });
  t.regex(stderr, /^imagelog: cannot show help of nope: no such command\nhint: /);
});

test('no command at all is a usage error that shows the help', async (t) => {
  const { code, stdout, stderr } = await understand();
  t.deepEqual({ code, stdout, stderr }, { code: 2, stdout: '', stderr: programHelp });
});
