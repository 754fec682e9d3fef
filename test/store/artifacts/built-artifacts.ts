import type {
  ArchiveArtifact,
  ArchiveContents,
  ArchiveReference,
  StagedFile,
} from '../../../src/archive/archive-files.js';
import { type Descriptor, type Digest, digestOf } from '../../../src/model/digest.js';
import { loadContents } from '../../../src/store/archives/load-archive.js';
import { StoreContext } from '../../../src/store/context.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { LoadResult } from '../../../src/store/store.js';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const utf8 = new TextEncoder();

/** A manifest or index with its bytes and those of its blobs. */
export interface BuiltArtifact {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly artifactType: string;
  readonly subject?: Descriptor | undefined;
  readonly contains: readonly Descriptor[];
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
}

interface Parts {
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly contains?: readonly Descriptor[];
  readonly blobs?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

function descriptorOf(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/** An OCI manifest whose first blob is its config, or an index when it contains something. */
export function builtArtifact(parts: Parts): BuiltArtifact {
  const { artifactType = '', subject, contains = [], blobs = ['{}'], annotations } = parts;
  const isIndex = parts.contains !== undefined;
  const kept = (isIndex ? [] : blobs).map((text) => {
    const bytes = utf8.encode(text);
    return { descriptor: descriptorOf(bytes, 'application/octet-stream'), bytes };
  });
  const [config, ...layers] = kept.map(({ descriptor }) => descriptor);
  const mediaType = isIndex ? OCI_INDEX : OCI_MANIFEST;
  const common = { schemaVersion: 2, mediaType, artifactType: artifactType === '' ? undefined : artifactType };
  const own = isIndex ? { manifests: contains } : { config, layers };
  const bytes = utf8.encode(JSON.stringify({ ...common, ...own, subject, annotations }));
  return { descriptor: descriptorOf(bytes, mediaType), bytes, artifactType, subject, contains, blobs: kept };
}

/** The context of an open store, which every call passes through. */
function contextOf(store: EventStore): StoreContext {
  const { checkOpen } = StoreContext.prototype;
  let found: StoreContext | undefined;
  StoreContext.prototype.checkOpen = function (this: StoreContext) {
    found = this;
    checkOpen.call(this);
  };
  try {
    store.len();
  } finally {
    StoreContext.prototype.checkOpen = checkOpen;
  }
  if (found === undefined) throw new Error('the store has no context');
  return found;
}

interface LoadedParts {
  readonly references?: readonly ArchiveReference[];
  readonly images?: ArchiveContents['images'];
  /** Blobs that the archive lacks. */
  readonly without?: readonly Digest[];
  readonly overwrite?: boolean;
}

/** Loads artifacts as an archive that holds them would be. */
export async function loadArtifacts(
  store: EventStore,
  artifacts: readonly BuiltArtifact[],
  { references = [], images = [], without = [], overwrite = true }: LoadedParts = {},
): Promise<LoadResult> {
  const context = contextOf(store);
  const files: StagedFile[] = [];
  const stage = async (bytes: Uint8Array): Promise<StagedFile> => {
    const file = await context.blobs.create();
    files.push(file);
    await file.write(bytes);
    await file.finish(digestOf(bytes));
    return file;
  };
  const staged: ArchiveArtifact[] = [];
  for (const { bytes: _, blobs, ...artifact } of artifacts) {
    const found: (StagedFile | undefined)[] = [];
    for (const { descriptor, bytes } of blobs) {
      found.push(without.includes(descriptor.digest) ? undefined : await stage(bytes));
    }
    staged.push({ ...artifact, blobs: blobs.map(({ descriptor }) => descriptor), staged: found });
  }
  const contents: ArchiveContents = {
    format: 'oci',
    images,
    artifacts: staged,
    references,
    content: new Map(artifacts.map(({ descriptor, bytes }) => [descriptor.digest, bytes])),
    notices: [],
    targets: [],
    discard: async () => {
      for (const file of files) await file.discard();
    },
  };
  const origin = { actor: 'tester', reason: 'test', requestId: undefined };
  try {
    return await loadContents(contents, { origin, overwrite }, context);
  } finally {
    await contents.discard();
  }
}
