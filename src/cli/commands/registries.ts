import { familiarReference } from '../../model/reference.js';
import { StoreError } from '../../errors.js';
import { loadPulled, Pull } from '../../registry-client/pull.js';
import type { Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { tellLoaded } from '../load-result.js';
import { openFor } from '../open-for.js';
import { listOf, option, platformName, platformNames, referenceName, repositoryName } from '../option-values.js';
import { type ReachFlags, reachOf, reachOptions, sessionOf, tellUploaded } from '../registry-access.js';
import { progressBar } from '../render/progress.js';
import { printable } from '../../model/texts.js';
import { pushImage } from '../../registry-client/push.js';
import { wholeReference } from '../cut-reference.js';
import { copyImage } from '../../registry-client/copy.js';

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

interface PushFlags extends ReachFlags {
  readonly platform?: readonly string[];
  readonly referrers?: boolean;
  readonly mountFrom?: readonly string[];
}

/** `imagelog push`: sends an image to a registry, under a name there. */
export const pushGrammar: Grammar = () => ({
  about:
    'Manifests and indexes go as they came, so that every digest stays. What the registry has is not sent again; an ' +
    'upload that breaks off continues. The name is set last, once all that it leads to is there. The log of the store ' +
    'records no push, so that there is no --reason; a registry of `imagelog serve` records its user. Credentials are ' +
    'those of docker and podman: their files, $DOCKER_CONFIG, $REGISTRY_AUTH_FILE, and credential helpers.',
  examples: [
    ['imagelog push shop/app:1.0 registry.example.com/shop/app:1.0', 'send an image with all its platforms'],
    ['imagelog push --referrers shop/app:1.0 registry.example.com/shop/app:1.0', 'send its signatures too'],
    [
      'imagelog push --mount-from registry.example.com/base/os shop/app:1.0 registry.example.com/shop/app:1.0',
      'take what another repository of that registry has',
    ],
    ['imagelog push bb0c8ffbd8b1 localhost:5000/shop/app:1.0', 'send an image by its id, without TLS'],
  ],
  arguments: [
    ['reference, id, or the first digits of an id or digest'],
    ['name in the registry, with its host', referenceName],
  ],
  options: [
    option('--platform <platform>', 'only this platform of a multi-platform image; repeatable', platformNames),
    option('--referrers', 'also signatures and other artifacts about it'),
    option(
      '--mount-from <repository>',
      'repository of the same registry that may have the layers; repeatable',
      listOf(repositoryName),
    ),
    ...reachOptions(),
  ],
  action: push,
});

async function push(context: CommandContext, typed: string, target: string, flags: PushFlags): Promise<void> {
  const { platform, referrers, mountFrom } = flags;
  await using store = await openFor(context, 'read');
  const name = wholeReference(typed, store) ?? typed;
  const progress = progressBar(context, `push ${printable(name)}`);
  const more = { platform, referrers, mountFrom, onProgress: progress.update };
  const options = { ...sessionOf(context), ...reachOf(flags), ...more };
  const result = await pushImage(store, { name, target }, options).finally(progress.end);
  await tellUploaded(context, { verb: 'pushed', from: name }, result);
}

interface CopyFlags {
  readonly platform?: string;
  readonly referrers?: boolean;
  readonly sourcePlainHttp?: boolean;
  readonly sourceInsecure?: boolean;
  readonly targetPlainHttp?: boolean;
  readonly targetInsecure?: boolean;
}

/** `imagelog copy`: copies an image between registries, without the store. */
export const copyGrammar: Grammar = () => ({
  about:
    'All platforms are copied with their index, so that every digest stays. The store is not used. What the target ' +
    'has is not sent again; within one registry layers are mounted. The name is set last. No event is written here, ' +
    'so that there is no --reason; a registry of `imagelog serve` records its user.',
  examples: [
    ['imagelog copy registry.example.com/shop/app:1.0 localhost:5000/shop/app:1.0', 'copy an image, all platforms'],
    [
      'imagelog copy --referrers localhost:5000/shop/app:1.0 localhost:5000/prod/app:1.0',
      'promote it with its signatures',
    ],
    ['imagelog copy --platform linux/arm64 localhost:5000/app:1 localhost:5000/arm:1', 'copy one manifest of an index'],
  ],
  arguments: [
    ['name in the registry to read, with its host', referenceName],
    ['name in the registry to write, with its host', referenceName],
  ],
  options: [
    option('--platform <platform>', 'only the manifest for this platform', platformName),
    option('--referrers', 'also signatures and other artifacts about it'),
    option('--source-plain-http', 'read without TLS; a loopback address needs no such option'),
    option('--source-insecure', 'read with TLS, without verifying the certificate'),
    option('--target-plain-http', 'write without TLS; a loopback address needs no such option'),
    option('--target-insecure', 'write with TLS, without verifying the certificate'),
  ],
  action: copy,
});

async function copy(context: CommandContext, from: string, to: string, flags: CopyFlags): Promise<void> {
  const { platform, referrers, sourcePlainHttp, sourceInsecure, targetPlainHttp, targetInsecure } = flags;
  const progress = progressBar(context, `copy ${printable(from)}`);
  const result = await copyImage(from, to, {
    ...sessionOf(context),
    source: reachOf({ ...(sourcePlainHttp && { plainHttp: true }), ...(sourceInsecure && { insecure: true }) }),
    target: reachOf({ ...(targetPlainHttp && { plainHttp: true }), ...(targetInsecure && { insecure: true }) }),
    platform,
    referrers,
    onProgress: progress.update,
  }).finally(progress.end);
  await tellUploaded(context, { verb: 'copied', from }, result);
}
