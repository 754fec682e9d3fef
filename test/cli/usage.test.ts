import test, { type ExecutionContext } from 'ava';
import { commandNames, understand } from './grammar.js';

/** The hint names the help of the command that was typed. */
function hintFor(argv: readonly string[]): string {
  const named = argv.find((word) => commandNames.includes(word));
  if (named === undefined || argv[0] === '--store') return 'hint: `imagelog help` lists the commands\n';
  return `hint: \`imagelog help ${named}\` shows how, with examples\n`;
}

const refuses = test.macro({
  title: (_, argv: readonly string[]) => `\`imagelog ${argv.join(' ')}\` is a usage error`,
  exec: async (t: ExecutionContext, argv: readonly string[], message: string) => {
    const { code, stdout, stderr, action } = await understand(...argv);
    t.deepEqual({ code, stdout, action }, { code: 2, stdout: '', action: undefined });
    t.is(stderr, `imagelog: ${message}\n${hintFor(argv)}`);
  },
});

test(refuses, ['bogus'], "unknown command 'bogus'");
test(refuses, ['image'], "unknown command 'image' (Did you mean images?)");
test(refuses, ['images', '--bogus'], "unknown option '--bogus'");
test(refuses, ['images', 'extra'], "too many arguments for 'images'. Expected 0 arguments but got 1.");
test(refuses, ['inspect'], "missing required argument 'names'");
test(
  refuses,
  ['load', '--platform', 'x'],
  "option '--platform <platform>' argument 'x' is invalid. \"x\" is not a platform: expected os/architecture or " +
    'os/architecture/variant; it is not an operating system or architecture.',
);
test(
  refuses,
  ['resolve', 'UPPER:x'],
  "command-argument value 'UPPER:x' is invalid for argument 'reference'. \"UPPER:x\" is not a reference: " +
    'the repository "library/UPPER" must be lower case.',
);
test(
  refuses,
  ['log', '--limit', '0'],
  "option '-n, --limit <count>' argument '0' is invalid. It must be a whole number of at least 1.",
);
test(
  refuses,
  ['log', '--since', '2026-02-30'],
  "option '--since <when>' argument '2026-02-30' is invalid. \"2026-02-30\" is not a point in time: " +
    'the calendar has no such day.',
);
test(
  refuses,
  ['log', '--since', '2026'],
  "option '--since <when>' argument '2026' is invalid. 2026 alone has two readings: event 2026 is @2026, the year " +
    'begins at 2026-01-01.',
);
test(
  refuses,
  ['at', '2026-11', 'images'],
  "command-argument value '2026-11' is invalid for argument 'when'. \"2026-11\" is not a point in time: it is a " +
    'month; name a day, like 2026-11-01.',
);
test(
  refuses,
  ['log', '--type', 'Foo'],
  "option '--type <types>' argument 'Foo' is invalid. The kinds of events are ImageCreated, ImageDeleted, ParentSet, " +
    'ParentCleared, MetadataSet, MetadataCleared, ReferenceSet, ReferenceRemoved, LayerAdded, LayerRemoved, ' +
    'ContentErased, ManifestAdded, ArtifactAdded, ArtifactRemoved.',
);
test(refuses, ['log', '--actor', ''], "option '--actor <name>' argument '' is invalid. It must not be empty.");
test(refuses, ['--store', '', 'images'], "option '--store <dir>' argument '' is invalid. It must not be empty.");
test(refuses, ['images', '--store='], "option '--store <dir>' argument '' is invalid. It must not be empty.");
test(
  refuses,
  ['save', 'a', '--format', 'zip'],
  "option '--format <format>' argument 'zip' is invalid. Allowed choices are docker, oci.",
);
test(refuses, ['\u001b[2Jx'], "unknown command '\\u001b[2Jx'");

const understands = test.macro({
  title: (_, argv: readonly string[]) => `\`imagelog ${argv.join(' ')}\` is understood`,
  exec: async (t: ExecutionContext, argv: readonly string[], action: string, args: readonly unknown[]) => {
    const understood = await understand(...argv);
    t.deepEqual(
      { code: understood.code, action: understood.action, args: understood.args as unknown },
      { code: 0, action, args },
    );
  },
});

test(understands, ['load'], 'load', [[], { overwrite: true }]);
test(understands, ['load', '-', 'b.tar', '--no-overwrite'], 'load', [['-', 'b.tar'], { overwrite: false }]);
test(understands, ['load', '--all-platforms', '--tag', 'a:1'], 'load', [
  [],
  { overwrite: true, allPlatforms: true, tag: 'a:1' },
]);
test(understands, ['save', 'a', 'b', '-o', '-'], 'save', [['a', 'b'], { format: 'docker', output: '-' }]);
test(understands, ['rm', '--force', 'a'], 'rm', [['a'], { force: true }]);
test(understands, ['log', '--type', 'imagecreated,ReferenceSet', '--type', 'LayerAdded'], 'log', [
  { type: ['ImageCreated', 'ReferenceSet', 'LayerAdded'] },
]);
test(understands, ['log', '--since', '2 weeks ago', '--until', '@2026'], 'log', [
  { since: '2 weeks ago', until: 2026 },
]);
test(understands, ['log', '--since', '2026-01-31', '--until', '#12'], 'log', [{ since: '2026-01-31', until: 12 }]);
test(understands, ['--json', '--store', 'x', 'tag', 'a', 'b'], 'tag', ['a', 'b', { overwrite: true }]);
