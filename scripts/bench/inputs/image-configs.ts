import { createHash } from 'node:crypto';

const COMMANDS = [
  '/bin/sh -c #(nop) ADD file:5c2ae4f1 in / ',
  '/bin/sh -c apk add --no-cache ca-certificates tzdata',
  'COPY /out/server /usr/local/bin/server # buildkit',
];

/**
 * Returns the config of the `index`-th image as a build tool writes one: about 1.2 KB, three layers of which the
 * top one is the image's own, so that every image has another id and another chain.
 */
export function imageConfig(index: number): Uint8Array {
  const created = new Date(Date.UTC(2024, 0, 1) + index * 1_000).toISOString();
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
    rootfs: { type: 'layers', diff_ids: ['base', `middle ${index % 100}`, `top ${index}`].map(diffIdOf) },
  };
  return new TextEncoder().encode(JSON.stringify(config));
}

function diffIdOf(name: string): string {
  return `sha256:${createHash('sha256').update(name).digest('hex')}`;
}
