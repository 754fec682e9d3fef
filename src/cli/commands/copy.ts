import { copyImage } from '../../registry-client/copy.js';
import type { Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { option, platformName, referenceName } from '../option-values.js';
import { reachOf, sessionOf, tellUploaded } from '../registry-access.js';
import { progressBar } from '../render/progress.js';
import { printable } from '../render/text.js';

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
