import type { ErasuresView } from '../../../projections/erasures.js';
import { type Digest, digestOf } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { nodeSha256 } from '../files/node-hash.js';
import type { Reading, VerifySource } from './verify-source.js';
import type { Report } from './violation.js';

/** The content that events name, and that none erased since. */
export class NamedContent {
  readonly #named = new Set<Digest>();
  readonly #erased = new Set<Digest>();

  add(event: StoredEvent): void {
    switch (event.type) {
      case 'ImageCreated':
        this.#name(event.image);
        break;
      case 'ManifestAdded':
        this.#name(event.manifest.digest);
        break;
      case 'ReferenceSet':
        if (event.target !== undefined) this.#name(event.target.digest);
        break;
      case 'ContentErased':
        // Layers are erased too, and are no content.
        if (this.#named.delete(event.digest)) this.#erased.add(event.digest);
        break;
      default:
    }
  }

  /** How much content was erased and did not come again. */
  get erasedCount(): number {
    return this.#erased.size;
  }

  has(digest: Digest): boolean {
    return this.#named.has(digest);
  }

  /** Takes `digest` away; false when no event named it. */
  take(digest: Digest): boolean {
    return this.#named.delete(digest);
  }

  /** Gives what was named and not taken. */
  left(): Iterable<Digest> {
    return this.#named;
  }

  #name(digest: Digest): void {
    this.#named.add(digest);
    this.#erased.delete(digest);
  }
}

/** What a look over content or blobs is told beside the source. */
export interface Belief {
  /** False when an event is lost: it may have named or erased what nothing else speaks of. */
  readonly isWhole: boolean;
  /** Called with how many were looked at. */
  readonly onLooked: (count: number) => void;
}

/** Checks that all content has the digest of its name, that events name it, and that what they name is there. */
export async function checkContent(
  source: VerifySource,
  { named, erasures }: { readonly named: NamedContent; readonly erasures: ErasuresView },
  reading: Reading,
  { isWhole, onLooked }: Belief,
): Promise<void> {
  const { report } = reading;
  let looked = 0;
  for await (const { digest, bytes, place } of source.contents(reading, (digest) => named.has(digest))) {
    const found = digestOf(bytes, nodeSha256);
    if (found !== digest) {
      const message = `the content ${digest} is not what was written: its bytes have another digest`;
      report({ code: 'CONTENT_WRONG', place, message, digest, expected: digest, found });
    }
    const isNamed = named.take(digest);
    if (erasures.has(digest)) {
      const message = `the content ${digest} is there, although an event says that it was erased`;
      report({ code: 'CONTENT_NOT_ERASED', place, message, seq: erasures.get(digest)?.seq, digest });
    } else if (!isNamed && isWhole) {
      report({ code: 'CONTENT_UNNAMED', place, message: `no event ever named the content ${digest}`, digest });
    }
    onLooked(++looked);
  }
  for (const digest of named.left()) {
    const message = `the content ${digest} is missing, which events name`;
    report({ code: 'CONTENT_MISSING', place: `content ${digest}`, message, digest });
  }
}

/**
 * Reports damaged logs that rebuilds put aside: as a violation when content was erased that may be
 * in them, and else as a notice.
 */
export function checkDamagedLogs(
  damagedLogs: readonly string[],
  erasedCount: number,
  { report, onNotice }: { readonly report: Report; readonly onNotice?: ((notice: string) => void) | undefined },
): void {
  const remedy = 'remove the folder, or move it out of the store to keep it';
  for (const place of damagedLogs) {
    const what = `${place} is a damaged log that a rebuild put aside`;
    if (erasedCount === 0) onNotice?.(`${what}: ${remedy}`);
    else {
      const message = `${what}, and may still hold content that was erased (${erasedCount}): ${remedy}`;
      report({ code: 'ERASED_KEPT', place, message });
    }
  }
}
