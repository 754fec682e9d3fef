import { pushImage } from '../../registry-client/push.js';
import type { Grammar } from '../command.js';
import { wholeReference } from '../cut-reference.js';
import type { CommandContext } from '../context.js';
import { openFor } from '../open-for.js';
import { listOf, option, platformNames, referenceName, repositoryName } from '../option-values.js';
import { reachOf, type ReachFlags, reachOptions, sessionOf, tellUploaded } from '../registry-access.js';
import { progressBar } from '../render/progress.js';
import { printable } from '../render/text.js';

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
