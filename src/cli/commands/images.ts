import { type Command, Option } from 'commander';
import type { ImagesFlags } from '../command-flags.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { repeated } from './option-values.js';

const GROUP = 'Images:';

/** Declares `images`, `tree`, `inspect`, `history` and `rm`. */
export function addImageCommands(declaration: Declaration): void {
  addImages(declaration);
  addTree(declaration);
  addInspect(declaration);
  addHistory(declaration);
  addRm(declaration);
}

function addImages(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'images',
    group: GROUP,
    summary: 'list the images',
    about:
      'Filters are KEY=VALUE. Keys: reference (a pattern with * ? [a-z]), dangling (true or false), os, architecture, ' +
      'since and before (an image). Values of one key are alternatives, different keys must all hold.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog images', 'list all images, the newest first'],
      ['imagelog images --tree', 'draw which image was made from which'],
      ["imagelog images --filter 'reference=shop/*' --filter os=linux", 'list the images of one name space'],
      ['imagelog images --filter dangling=true --quiet', 'list the ids of images that nothing names or uses'],
      ['imagelog images --at 2026-01-31', 'list what was there at the end of that day'],
      ['imagelog images --json | jq -r .id', 'give the ids to another program'],
    ],
  });
  addImageOptions(command.option('--tree', 'draw parents and children')).action((flags: ImagesFlags) =>
    declaration.actions.images(contextFor(declaration, command), flags),
  );
}

function addTree(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'tree',
    group: GROUP,
    summary: 'draw which image was made from which',
    about: 'The same as `imagelog images --tree`.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog tree', 'draw all images'],
      ['imagelog tree --at 2d', 'draw those of two days ago'],
    ],
  });
  addImageOptions(command).action((flags: ImagesFlags) =>
    declaration.actions.images(contextFor(declaration, command), { ...flags, tree: true }),
  );
}

function addImageOptions(command: Command): Command {
  return command
    .option('--heads', 'only images without children')
    .addOption(new Option('-f, --filter <key=value>', 'only images that fit; may be repeated').argParser(repeated));
}

function addInspect(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'inspect',
    group: GROUP,
    summary: 'show all that is known of an image',
    about:
      'Prints a JSON array with the config and what follows from it; with --json one object a line. ' +
      'In the past also of images that were deleted since.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog inspect shop/app:1.0', 'show the config, layers, parent, children and references'],
      ['imagelog inspect cb4c372bec4c', 'ask by the first digits of an id'],
      ['imagelog inspect --json shop/app:1.0 | jq .config.config.Env', 'take one thing out of it'],
    ],
  });
  command
    .argument('<names...>', 'references, ids or the first digits of ids')
    .action((names: string[]) => declaration.actions.inspect(contextFor(declaration, command), names));
}

function addHistory(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'history',
    group: GROUP,
    summary: 'show how an image was built',
    about: 'One row a build step, the last step first, with the size of the layer that it made.',
    kind: 'reads',
    past: true,
    examples: [
      ['imagelog history shop/app:1.0', 'show the build steps and what each one added'],
      ['imagelog history --json shop/app:1.0', 'the same for a program, with times in UTC'],
    ],
  });
  command
    .argument('<name>', 'a reference, an id or the first digits of an id')
    .action((name: string) => declaration.actions.history(contextFor(declaration, command), name));
}

function addRm(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'rm',
    group: GROUP,
    summary: 'remove references and images',
    about:
      'By reference: removes the reference, and the image when that was its last one and it has no children. ' +
      'By id: removes the image and its reference; refused when it has children or several references, unless --force. ' +
      'The log keeps what was there.',
    kind: 'writes',
    examples: [
      ['imagelog rm shop/app:1.0', 'remove a reference, and the image that only it named'],
      ['imagelog rm --reason "CVE-2026-1234" cb4c372bec4c', 'remove an image, and keep why'],
      ['imagelog rm --force cb4c372bec4c', 'remove an image that others were made from'],
      ['imagelog rm $(imagelog images --quiet --filter dangling=true)', 'remove what nothing names or uses'],
    ],
  });
  command
    .argument('<names...>', 'references, ids or the first digits of ids')
    .option('--force', 'also when it has children or other references')
    .action((names: string[], flags: { readonly force?: boolean }) =>
      declaration.actions.rm(contextFor(declaration, command), names, flags),
    );
}
