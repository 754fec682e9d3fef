import type { CommandEntry } from './command.js';

type Listed = Omit<CommandEntry, 'group'>;

/** All commands except `help`, in help order. */
export const commands: readonly CommandEntry[] = [
  ...inGroup('Archives:', [
    {
      usage: 'load [files...]',
      summary: 'read images from archives',
      may: 'push',
      kind: 'writes',
      load: async () => (await import('./commands/archives.js')).loadGrammar,
    },
    {
      usage: 'save <names...>',
      summary: 'write images to an archive',
      may: 'read',
      load: async () => (await import('./commands/archives.js')).saveGrammar,
    },
  ]),
  ...inGroup('Registries:', [
    {
      usage: 'pull <reference>',
      summary: 'fetch an image from a registry',
      may: 'push',
      kind: 'writes',
      load: async () => (await import('./commands/registries.js')).pullGrammar,
    },
    {
      usage: 'push <image> <reference>',
      summary: 'send an image to a registry',
      ownStore: true,
      load: async () => (await import('./commands/registries.js')).pushGrammar,
    },
    {
      usage: 'copy <source> <target>',
      summary: 'copy an image between registries',
      load: async () => (await import('./commands/registries.js')).copyGrammar,
    },
  ]),
  ...inGroup('Images:', [
    {
      usage: 'images',
      aliases: ['ls'],
      summary: 'list the images',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/images.js')).imagesGrammar,
    },
    {
      usage: 'tree',
      summary: 'draw which image was made from which',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/images.js')).treeGrammar,
    },
    {
      usage: 'search <term>',
      summary: 'find ids by their first digits',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/search.js')).searchGrammar,
    },
    {
      usage: 'inspect <names...>',
      summary: 'show all that is known of an image',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/inspect.js')).inspectGrammar,
    },
    {
      usage: 'history <name>',
      summary: 'show how an image was built',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/inspect.js')).historyGrammar,
    },
    {
      usage: 'meta <image> [key]',
      summary: 'show, set or delete metadata of an image',
      may: 'push',
      kind: 'writes',
      past: true,
      load: async () => (await import('./commands/meta.js')).metaGrammar,
    },
    {
      usage: 'referrers <name>',
      summary: 'list what is about an image',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/referrers.js')).referrersGrammar,
    },
    {
      usage: 'rm <names...>',
      aliases: ['rmi'],
      summary: 'remove references, images and artifacts',
      may: 'delete',
      kind: 'writes',
      load: async () => (await import('./commands/rm.js')).rmGrammar,
    },
  ]),
  ...inGroup('References:', [
    {
      usage: 'tag <source> <reference>',
      summary: 'point a reference at an image or artifact',
      may: 'push',
      kind: 'writes',
      load: async () => (await import('./commands/tags.js')).tagGrammar,
    },
    {
      usage: 'untag <reference>',
      summary: 'remove a reference and keep the image',
      may: 'delete',
      kind: 'writes',
      load: async () => (await import('./commands/tags.js')).untagGrammar,
    },
    {
      usage: 'resolve <reference>',
      summary: 'print the id that a reference points at',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/tags.js')).resolveGrammar,
    },
    {
      usage: 'refs <references...>',
      summary: 'show what a name (or *:prod) ever meant',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/refs.js')).refsGrammar,
    },
  ]),
  ...inGroup('Log:', [
    {
      usage: 'log',
      summary: 'search and show what happened; also CSV',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/log.js')).logGrammar,
    },
    {
      usage: 'stats',
      summary: 'count what is in the store',
      may: 'read',
      past: true,
      load: async () => (await import('./commands/stats.js')).statsGrammar,
    },
    {
      usage: 'consumers',
      summary: 'list who follows the log, and how far',
      may: 'read',
      load: async () => (await import('./commands/consumers.js')).consumersGrammar,
    },
  ]),
  ...inGroup('Evidence:', [
    {
      usage: 'key <file>',
      summary: 'make a key that signs checkpoints',
      load: async () => (await import('./commands/proofs.js')).keyGrammar,
    },
    {
      usage: 'checkpoint',
      summary: 'print what commits to the whole log',
      may: 'read',
      kind: 'signs',
      load: async () => (await import('./commands/proofs.js')).checkpointGrammar,
    },
    {
      usage: 'prove <seq>',
      summary: 'write a proof that an event is in the log',
      may: 'read',
      kind: 'signs',
      load: async () => (await import('./commands/proofs.js')).proveGrammar,
    },
    {
      usage: 'check-proof <file>',
      summary: 'check a proof, without the store',
      load: async () => (await import('./commands/proofs.js')).checkProofGrammar,
    },
    {
      usage: 'page',
      summary: 'write a page that checks and shows the log',
      may: 'read',
      kind: 'signs',
      past: true,
      load: async () => (await import('./commands/page.js')).pageGrammar,
    },
    {
      usage: 'verify [directory]',
      summary: 'check all that is kept against the events',
      may: 'admin',
      load: async () => (await import('./commands/verify.js')).verifyGrammar,
    },
  ]),
  ...inGroup('Upkeep:', [
    {
      usage: 'backup <directory>',
      summary: 'write the store to a directory of files',
      ownStore: true,
      kind: 'signs',
      load: async () => (await import('./commands/backup.js')).backupGrammar,
    },
    {
      usage: 'restore <directory>',
      summary: 'make the store of a backup',
      ownStore: true,
      load: async () => (await import('./commands/backup.js')).restoreGrammar,
    },
    {
      usage: 'erase <digest>',
      summary: 'erase bytes that nothing needs',
      may: 'admin',
      kind: 'writes',
      load: async () => (await import('./commands/erase.js')).eraseGrammar,
    },
    {
      usage: 'prune',
      summary: 'free what nothing needs',
      may: 'admin',
      kind: 'writes',
      load: async () => (await import('./commands/erase.js')).pruneGrammar,
    },
    {
      usage: 'rebuild',
      summary: 'rebuild all that the events imply',
      ownStore: true,
      kind: 'signs',
      load: async () => (await import('./commands/rebuild.js')).rebuildGrammar,
    },
    {
      usage: 'version',
      summary: 'print the versions in use',
      load: async () => (await import('./commands/version.js')).versionGrammar,
    },
  ]),
  ...inGroup('Service:', [
    {
      usage: 'serve',
      summary: 'serve the store as a registry, over HTTP',
      ownStore: true,
      kind: 'writes',
      past: true,
      load: async () => (await import('./commands/serve.js')).serveGrammar,
    },
  ]),
  ...inGroup('The past:', [
    {
      usage: 'diff <from> [to]',
      summary: 'show what changed between two moments',
      may: 'read',
      load: async () => (await import('./commands/diff.js')).diffGrammar,
    },
    {
      usage: 'at <when> <command...>',
      summary: 'run a command that reads, in the past',
      may: 'read',
      load: async () => (await import('./commands/at.js')).atGrammar,
    },
  ]),
  ...inGroup('Shell:', [
    {
      usage: 'completion <shell>',
      summary: 'print what completes commands in a shell',
      may: 'read',
      asksServer: true,
      load: async () => (await import('./commands/completion.js')).completionGrammar,
    },
    {
      usage: 'env',
      summary: 'list the settings and where they come from',
      load: async () => (await import('./commands/env.js')).envGrammar,
    },
  ]),
];

function inGroup(group: string, listed: readonly Listed[]): CommandEntry[] {
  return listed.map((entry) => ({ ...entry, group }));
}
