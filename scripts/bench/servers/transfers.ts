import { RegistryClient } from '../../../src/registry-client/registry-client.js';
import { RegistrySession } from '../../../src/registry-client/registry-session.js';
import type { RegistryImage } from '../inputs/random-archive.js';
import type { RunningRegistry } from './registry-kinds.js';

/** Runs `work` with our client of a repository of a registry, and closes its connections. */
export async function withClient<Result>(
  { port }: Pick<RunningRegistry, 'port'>,
  path: string,
  work: (client: RegistryClient) => Promise<Result>,
): Promise<Result> {
  const session = new RegistrySession(`127.0.0.1:${port}`);
  try {
    return await work(new RegistryClient(session, path));
  } finally {
    session.close();
  }
}

/** Pushes an image: blobs at once, then its manifest. */
export async function push(client: RegistryClient, { blobs, manifest }: RegistryImage, tag: string): Promise<void> {
  await Promise.all(
    blobs.map(({ descriptor, read }) =>
      client.putBlob(descriptor, (offset) => {
        if (offset > 0) throw new RangeError('the connection broke: the time would count twice');
        return read();
      }),
    ),
  );
  await client.putManifest(tag, manifest);
}

/** Pulls an image and checks its digests: the manifest, then blobs at once. */
export async function pull(client: RegistryClient, { blobs }: RegistryImage, tag: string): Promise<void> {
  await client.manifest(tag);
  await Promise.all(
    blobs.map(async ({ descriptor: { digest, size } }) => {
      let received = 0;
      for await (const chunk of client.blob(digest, { size })) received += chunk.length;
      if (received !== size) throw new RangeError(`${digest} has ${received} bytes, expected ${size}`);
    }),
  );
}
