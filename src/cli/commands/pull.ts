import { familiarReference } from '../../model/reference.js';
import { StoreError } from '../../errors.js';
import { loadPulled, Pull } from '../../registry-client/pull.js';
import type { Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { tellLoaded } from '../load-result.js';
import { openFor } from '../open-for.js';
import { option, platformNames, referenceName } from '../option-values.js';
import { reachOf, type ReachFlags, reachOptions, sessionOf } from '../registry-access.js';
import { progressBar } from '../render/progress.js';
import { printable } from '../../model/texts.js';

interface PullFlags extends ReachFlags {
  readonly platform?: readonly string[];
  readonly tag?: string;
  /** False with `--no-overwrite`. */
  readonly overwrite: boolean;
  readonly referrers?: boolean;
}

/** `imagelog pull`: fetches what a name of a registry stands for, in one transaction. */
export const pullGrammar: Grammar = () => ({
  about:
    'All platforms come with their index and attestations, so that every digest stays. It is one transaction: the ' +
    'image is there whole or not at all. A connection that breaks is continued. Credentials are those of docker ' +
    'and podman: their files, $DOCKER_CONFIG, $REGISTRY_AUTH_FILE, and credential helpers.',
  examples: [
    ['imagelog pull registry.example.com/shop/app:1.0', 'fetch an image; creates a missing store'],
    ['imagelog pull --platform linux/arm64 registry.example.com/shop/app:1.0', 'fetch one of its platforms'],
    ['imagelog pull --tag shop/app:1.0 registry.example.com/shop/app:1.0', 'give it a short name too'],
    ['imagelog pull --referrers registry.example.com/shop/app:1.0', 'fetch its signatures and SBOMs too'],
    ['imagelog pull localhost:5000/shop/app:1.0', 'from this machine, without TLS'],
  ],
  arguments: [['name in the registry, with its host', referenceName]],
  options: [
    option('--platform <platform>', 'only this platform of a multi-platform image; repeatable', platformNames),
    option('--tag <reference>', 'one more reference for it', referenceName),
    option('--no-overwrite', 'fail when a reference would move to another image'),
    option('--referrers', 'also signatures and other artifacts about it'),
    ...reachOptions(),
  ],
  action: pull,
});

async function pull(context: CommandContext, name: string, flags: PullFlags): Promise<void> {
  const { platform, tag, overwrite, referrers, plainHttp, insecure } = flags;
  const { client } = context.io;
  // A name that is mistyped makes no store.
  const local =
    client === undefined
      ? await Pull.begin(name, { ...sessionOf(context), ...reachOf(flags), platform, referrers })
      : undefined;
  try {
    await using store = await openFor(context, 'create');
    const content =
      local?.content(store.directory) ?? (await client?.pull(name, { platform, referrers, plainHttp, insecure }));
    if (content === undefined) throw new StoreError('INTERNAL', 'nothing pulls');
    const progress = progressBar(context, `pull ${printable(name)}`);
    const { write, signal } = context;
    const options = { ...write, via: 'pull', platform, tag, overwrite, signal, onProgress: progress.update };
    const result = await loadPulled(store, content, options).finally(progress.end);
    const title = familiarReference(result.reference);
    await tellLoaded(context, store, { name: title, what: result.digest, facts: {}, result });
  } finally {
    local?.close();
  }
}
