import { throwIfAborted } from '../../abort.js';
import { StoreError } from '../../errors.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { mustBeFunction, mustBeSignal, mustBeString, mustBeText } from '../argument-types.js';
import type { RestoreOptions, RestoreReport } from './backup.js';
import { BLOB_FOLDER, CONTENT_FOLDER, TILE_FOLDER } from './backup-layout.js';
import type { BackupReader } from './backup-reader.js';
import type { BackupSource } from './backup-source.js';
import { buildStore } from './build-store.js';
import { buildBeside, needVacancy } from './restore-target.js';
import { type VerifiedBackup, verifyBackup } from './verify-backup.js';

/** Violations that the message of an error names; its data has all. */
const SAID_VIOLATIONS = 3;

/** What `restoreStore` of the library does, which says how. */
export async function restoreStore(
  directory: string,
  source: string,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  checkArguments(directory, source, options);
  throwIfAborted(options.signal);
  const target = await needVacancy(directory, source);
  const progress = new ReadProgress(options.onProgress);
  const { against, key, onNotice, signal } = options;
  const onOpen = ({ reader }: BackupSource): Promise<void> => progress.begin(reader);
  const verified = await verifyBackup(source, { against, key, onNotice, signal }, { onOpen, onBytes: progress.read });
  const { identity, checkpoint } = wholeBackup(verified);
  progress.verified();
  const { reader, content } = verified.source;
  const built = await buildBeside(target, (place) => buildStore(place, { reader, content, checkpoint, signal }));
  const { size: events } = parseCheckpoint(checkpoint);
  return { directory: target, ...identity, events, checkpoint, ...built };
}

function wholeBackup({
  source: {
    identity,
    checkpoint,
    reader: { directory },
  },
  violations,
}: VerifiedBackup): { readonly identity: NonNullable<BackupSource['identity']>; readonly checkpoint: string } {
  if (violations.length === 0 && identity !== undefined && checkpoint !== undefined) {
    return { identity, checkpoint: checkpoint.text };
  }
  const said = violations.slice(0, SAID_VIOLATIONS).map(({ message }) => message);
  const more = violations.length - said.length;
  const what = more > 0 ? `${said.join('; ')}; and ${more} more` : said.join('; ');
  throw new StoreError('BACKUP_INVALID', `the backup in ${directory} does not verify: ${what}`, {
    data: { directory, violations },
  });
}

function checkArguments(
  directory: string,
  source: string,
  { against, key, onProgress, onNotice, signal }: RestoreOptions,
): void {
  mustBeString('directory', directory);
  mustBeText('directory', directory);
  mustBeString('source', source);
  mustBeText('source', source);
  for (const text of Array.isArray(against) ? against : [against]) mustBeText('against', text);
  mustBeText('key', key);
  if (onProgress !== undefined) mustBeFunction('onProgress', onProgress);
  if (onNotice !== undefined) mustBeFunction('onNotice', onNotice);
  mustBeSignal('signal', signal);
}

/** Counts what is read, once to verify and once to write. */
class ReadProgress {
  readonly #onProgress: RestoreOptions['onProgress'];
  #bytes = 0;
  #ofFiles = 0;
  #total = 0;

  constructor(onProgress: RestoreOptions['onProgress']) {
    this.#onProgress = onProgress;
  }

  readonly read = (bytes: number): void => {
    this.#bytes = Math.min(this.#bytes + bytes, this.#total);
    if (this.#total > 0) this.#onProgress?.(this.#bytes, this.#total);
  };

  async begin(reader: BackupReader): Promise<void> {
    if (this.#onProgress === undefined) return;
    let tiles = 0;
    for (const folder of [TILE_FOLDER, CONTENT_FOLDER, BLOB_FOLDER]) {
      for (const path of await reader.paths(folder)) {
        const size = (await reader.size(path)) ?? 0;
        this.#ofFiles += size;
        if (/^tile\/\d/.test(path)) tiles += size;
      }
    }
    // To write the store, hashes of the tree are not read again: they are made from the entries.
    this.#total = 2 * this.#ofFiles - tiles;
    this.#bytes = 0;
  }

  /** From here on the store is written. */
  verified(): void {
    this.#bytes = this.#ofFiles;
  }
}
