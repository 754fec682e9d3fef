import { Option } from 'commander';
import type { LoadFlags, SaveFlags } from '../command-flags.js';
import { contextFor, type Declaration, declareCommand } from './declaration.js';
import { platformName, referenceName } from './option-values.js';

const GROUP = 'Archives:';

/** Declares `load` and `save`. */
export function addArchiveCommands(declaration: Declaration): void {
  addLoad(declaration);
  addSave(declaration);
}

function addLoad(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'load',
    group: GROUP,
    summary: 'read images from archives',
    about:
      'Reads what `docker save`, podman, skopeo or crane write, and OCI image layouts in a tar, ' +
      'plain or compressed. Each archive is one transaction: it is loaded whole or not at all.',
    kind: 'writes',
    examples: [
      ['imagelog load shop.tar', 'load an archive, and create the store when there is none'],
      ['docker save shop/app:1.0 | imagelog load', 'load from a pipe'],
      ['imagelog load --platform linux/arm64 multi.tar', 'load one platform of a multi-platform archive'],
      ['imagelog load --no-overwrite --reason "nightly build" shop.tar', 'fail instead of moving a tag, and keep why'],
      ['imagelog load --tag shop/app:nightly build.tar', 'name the only image of an archive'],
    ],
  });
  command
    .argument('[files...]', 'archives; `-`, or none at all, is the standard input')
    .addOption(
      new Option('--platform <platform>', 'only this platform of multi-platform images').argParser(platformName),
    )
    .option('--all-platforms', 'fail when the archive lacks a platform that it names')
    .option('--no-overwrite', 'fail when a reference would move to another image')
    .addOption(new Option('--tag <reference>', 'one more reference for the only image').argParser(referenceName))
    .action((files: string[], flags: LoadFlags) =>
      declaration.actions.load(contextFor(declaration, command), files, flags),
    );
}

function addSave(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'save',
    group: GROUP,
    summary: 'write images to an archive',
    about:
      'The same images give the same bytes. A file appears whole or not at all. ' +
      'A name without a tag saves all of its tags.',
    kind: 'reads',
    examples: [
      ['imagelog save shop/app:1.0 -o app.tar', 'save one image'],
      ['imagelog save shop/app shop/db:3 -o shop.tar', 'save every tag of one name, and one of another'],
      ['imagelog save --format oci shop/app:1.0 -o app-oci.tar', 'save as an OCI image layout'],
      ['imagelog save shop/app:1.0 | docker load', 'give it to Docker'],
    ],
  });
  command
    .argument('<names...>', 'references, ids or the first digits of ids')
    .option('-o, --output <file>', 'the archive; `-`, or none at all, is the standard output')
    .addOption(new Option('--format <format>', 'layout of the archive').choices(['docker', 'oci']).default('docker'))
    .action((names: string[], flags: SaveFlags) =>
      declaration.actions.save(contextFor(declaration, command), names, flags),
    );
}
