import { createHash } from 'node:crypto';
import type { DiffId } from '../../../src/model/digest.js';

const COMMANDS = [
  '/bin/sh -c #(nop) ADD file:5c2ae4f1 in / ',
  '/bin/sh -c apk add --no-cache ca-certificates tzdata',
  'COPY /out/server /usr/local/bin/server # buildkit',
];

/**
 * Returns the config of the `index`-th image: realistic, about 1.2 KB, with three layers of which
 * the top is unique, so id and (by default) chain are too.
 */
export function imageConfig(index: number, diffIds: readonly DiffId[] = imageLayers(index)): Uint8Array {
  const created = createdAt(index);
  const config = {
    architecture: 'amd64',
    config: {
      User: 'app',
      ExposedPorts: { '8080/tcp': {} },
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8'],
      Entrypoint: ['/usr/local/bin/server'],
      Cmd: ['--listen', ':8080'],
      WorkingDir: '/srv',
      Labels: { 'org.opencontainers.image.version': `1.0.${index}`, 'org.opencontainers.image.vendor': 'Example' },
    },
    created,
    history: COMMANDS.map((command) => ({ created, created_by: command, comment: 'buildkit.dockerfile.v0' })),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: diffIds },
  };
  return new TextEncoder().encode(JSON.stringify(config));
}

/** Returns the layers of the `index`-th image, bottom to top. */
export function imageLayers(index: number): DiffId[] {
  return ['base', `middle ${index % 100}`, `top ${index}`].map(diffIdOf);
}

/** Returns the creation time in the config of the `index`-th image, RFC 3339. */
export function createdAt(index: number): string {
  return new Date(Date.UTC(2024, 0, 1) + index * 1_000).toISOString();
}

function diffIdOf(name: string): DiffId {
  return `sha256:${createHash('sha256').update(name).digest('hex')}` as DiffId;
}
