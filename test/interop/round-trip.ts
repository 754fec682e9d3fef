import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ExecutionContext } from 'ava';
import { familiarReference } from '../../src/model/reference.js';
import type { EventStore } from '../../src/store/event-store.js';
import { temporaryStore } from '../store/temporary-store.js';
import { fixturePath } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

export const FORMATS = ['docker', 'oci'] as const;
export type Format = (typeof FORMATS)[number];

/** Archives of the newest tools that have names and images; the tools that wrote them are in its README. */
export const NEW_ARCHIVES = [
  'bx-annot',
  'bx-artm',
  'bx-oci-multi',
  'bx-zstd',
  'classic-tags',
  'cs-multi',
  'cs-shared',
  'ctr-all',
  'or-copy-r',
  'p-list2-addz',
  'p-list2z',
  'p-reg-zstdchunked',
  'um',
] as const;

/** Those with layers in zstd, which Docker reads since 23.0. */
export const ZSTD_ARCHIVES: readonly string[] = ['bx-zstd', 'p-list2z', 'p-reg-zstdchunked', 'um'];

/** Path of an archive of the newest tools. */
export function newArchive(name: string): string {
  return fixturePath('archives-new', `${name}.tar.gz`);
}

/** What a store says that each of its names of images is. */
export interface NameFacts {
  /** As Docker shows it. */
  readonly name: string;
  /** Digest of the config of the image for the host. */
  readonly id: string;
  /** Digest of the manifest or index, if it came with one. */
  readonly digest: string | undefined;
  /** Of the images it stands for, as `os/architecture`. */
  readonly platforms: readonly string[];
}

export function nameFacts(store: EventStore): NameFacts[] {
  return store.referenceEntries().flatMap(({ reference, image, target, platforms }) => {
    if (image === undefined) return [];
    const all = platforms ?? [store.get(image).platform()];
    const host = platforms?.find(({ architecture }) => architecture === hostArchitecture) ?? { image };
    return {
      name: familiarReference(reference),
      id: host.image,
      digest: target?.digest,
      platforms: [...new Set(all.map(({ os, architecture }) => `${os}/${architecture}`))].sort(),
    };
  });
}

/** As OCI documents name the architecture of this machine. */
export const hostArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

/** Loads archives into one new store; names that are only a tag are of the repository `bare`. */
export async function loaded(t: ExecutionContext, ...paths: readonly string[]): Promise<EventStore> {
  const store = await temporaryStore(t);
  for (const path of paths) await store.load(path, { repository: 'bare' });
  return store;
}

/** Writes `names`, by default every name of a store, to a file. */
export async function saved(
  t: ExecutionContext,
  store: EventStore,
  format: Format,
  names: readonly string[] = store.referenceEntries().map(({ reference }) => reference),
): Promise<string> {
  const path = join(await temporaryDirectory(t), `${format}.tar`);
  await pipeline(store.save(names, { format }), createWriteStream(path));
  return path;
}
