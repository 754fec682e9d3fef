import { Argument, Option } from 'commander';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { platformName, referenceName } from './option-values.js';

const GROUP = 'References:';

/** Declares `tag`, `untag`, `resolve` and `refs`. */
export function addReferenceCommands(declaration: Declaration): void {
  addTag(declaration);
  addUntag(declaration);
  addResolve(declaration);
  addRefs(declaration);
}

function addTag(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'tag',
    group: GROUP,
    summary: 'point a reference at an image',
    about: 'A reference that points at another image moves, and is said to; the log keeps where it was.',
    kind: 'writes',
    examples: [
      ['imagelog tag shop/app:1.0 shop/app:prod', 'give an image one more reference, or move it there'],
      ['imagelog tag --reason "rollback" cb4c372bec4c shop/app:prod', 'move a reference, and keep why'],
      ['imagelog tag --no-overwrite shop/app:1.0 shop/app:stable', 'fail when the reference is another image'],
    ],
  });
  command
    .argument('<source>', 'a reference, an id or the first digits of an id')
    .addArgument(new Argument('<reference>', 'the reference to set').argParser(referenceName))
    .option('--no-overwrite', 'fail when the reference points at another image')
    .action((source: string, reference: string, flags: { readonly overwrite: boolean }) =>
      declaration.actions.tag(contextFor(declaration, command), source, reference, flags),
    );
}

function addUntag(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'untag',
    group: GROUP,
    summary: 'remove a reference and keep the image',
    kind: 'writes',
    examples: [
      ['imagelog untag shop/app:prod', 'remove a reference; the image stays, named or not'],
      ['imagelog untag --reason "not released" shop/app:2.0', 'remove it, and keep why'],
    ],
  });
  command
    .addArgument(new Argument('<reference>', 'the reference to remove').argParser(referenceName))
    .action((reference: string) => declaration.actions.untag(contextFor(declaration, command), reference));
}

function addResolve(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'resolve',
    group: GROUP,
    summary: 'print the id that a reference points at',
    about: 'With --at, or after `imagelog at WHEN`, the one that it pointed at then.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog resolve shop/app:prod', 'print the id of the image'],
      ['imagelog resolve --at 2026-01-31T14:05:00+01:00 shop/app:prod', 'print what it was at that moment'],
      ['imagelog resolve --platform linux/arm64 shop/app:multi', 'print the image of one platform'],
    ],
  });
  command
    .addArgument(new Argument('<reference>', 'the reference').argParser(referenceName))
    .addOption(
      new Option('--platform <platform>', 'the platform of a multi-platform reference').argParser(platformName),
    )
    .action((reference: string, flags: { readonly platform?: string }) =>
      declaration.actions.resolve(contextFor(declaration, command), reference, flags),
    );
}

function addRefs(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'refs',
    group: GROUP,
    summary: 'show all that a reference ever pointed at',
    about:
      'Says what it stands for, draws its life on a strip of time, and gives each period a row, the newest first. ' +
      'With --json the oldest first: one object for each period in which it stood for an image.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog refs shop/app:prod', 'draw what it pointed at, when, and by whom'],
      ['imagelog refs --json shop/app:prod', 'the same for a program, with times in UTC'],
    ],
  });
  command
    .addArgument(new Argument('<reference>', 'the reference').argParser(referenceName))
    .action((reference: string) => declaration.actions.refs(contextFor(declaration, command), reference));
}
