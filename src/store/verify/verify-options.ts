import { mustBeBoolean, mustBeFunction, mustBeObject, mustBeSignal, mustBeText } from '../argument-types.js';

/** How far verification is. */
export interface VerifyProgress {
  readonly what: 'events' | 'index' | 'content' | 'blobs' | 'snapshots';
  /** Events, rows, files or bytes (of blobs) that were looked at. */
  readonly done: number;
  /** Of how many, where that is known. */
  readonly total: number | undefined;
}

/** What is verified, and against what. */
export interface VerifyOptions {
  /** Texts of checkpoints that the log must contain, beside the one in its directory; signed or not. */
  readonly against?: string | readonly string[] | undefined;
  /** The key (Go note format: `NAME+hash+key`) that must have signed each checkpoint. */
  readonly key?: string | undefined;
  /** Check the Merkle tree and the checkpoints alone, with the leaf hashes as they are kept: no record is decoded. */
  readonly fast?: boolean | undefined;
  /** Called as events, rows, files and bytes are looked at. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Called with what is no damage but should be known: an interrupted backup, a damaged log that a rebuild put aside. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Refuses options of other types: a check that was asked for must not be passed over.
 * @throws {TypeError} naming the option
 */
export function checkVerifyOptions(options: VerifyOptions): void {
  mustBeObject('options', options);
  const { against, key, fast, onProgress, onNotice, signal } = options;
  for (const text of Array.isArray(against) ? against : [against]) mustBeText('against', text);
  mustBeText('key', key);
  mustBeBoolean('fast', fast);
  if (onProgress !== undefined) mustBeFunction('onProgress', onProgress);
  if (onNotice !== undefined) mustBeFunction('onNotice', onNotice);
  mustBeSignal('signal', signal);
}
