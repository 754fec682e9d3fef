import { StoreError } from '../../errors.js';
import { beginsWith } from '../../log/begins-with.js';
import { checkOriginOf, parseCheckpoint } from '../../log/checkpoint.js';
import type { Log } from '../../log/log.js';
import { noteText } from '../../log/signed-note.js';
import { formatProof } from '../../log/tlog-proof.js';
import { nodeSha256 } from '../files/node-hash.js';
import type { CheckpointKeeper } from '../open/checkpoint-keeper.js';
import type { ConsistencyProof, Evidence, InclusionProof, ProveOptions } from './evidence.js';
import type { LogEvidence } from './log-evidence.js';

export interface StoreEvidenceOptions {
  readonly log: Log;
  /** The log's name in checkpoints. */
  readonly origin: string;
  readonly checkpoints: CheckpointKeeper;
  readonly readOnly: boolean;
  /** Proofs about events that may be seen. */
  readonly seen: LogEvidence;
  /** Proofs about every event of the log. */
  readonly durable: LogEvidence;
}

/** The evidence of a store: what its log proves, with the checkpoints that it keeps. */
export class StoreEvidence implements Evidence {
  readonly #options: StoreEvidenceOptions;

  constructor(options: StoreEvidenceOptions) {
    this.#options = options;
  }

  proveInclusion(seq: number, size?: number): Promise<InclusionProof> {
    return this.#options.seen.proveInclusion(seq, size);
  }

  proveConsistency(from: number, to?: number): Promise<ConsistencyProof> {
    return this.#options.seen.proveConsistency(from, to);
  }

  async checkpoint(): Promise<string> {
    const { checkpoints, readOnly } = this.#options;
    return readOnly ? checkpoints.unwritten() : checkpoints.newest();
  }

  async prove(seq: number, { checkpoint }: ProveOptions = {}): Promise<string> {
    const { durable } = this.#options;
    // What cannot be proved at all is told before a checkpoint is signed for it.
    if (checkpoint === undefined) await durable.proveInclusion(seq);
    const { text, size } = await this.#trusted(checkpoint ?? (await this.checkpoint()));
    if (seq > size) throw notIn(seq, size);
    const { index, hashes } = await durable.proveInclusion(seq, size);
    return formatProof({ index, hashes, extra: await this.#record(seq), checkpoint: text });
  }

  async #trusted(given: Uint8Array | string): Promise<{ readonly text: string; readonly size: number }> {
    const { log, origin } = this.#options;
    const checkpoint = parseCheckpoint(given);
    checkOriginOf(checkpoint, origin);
    const { size } = checkpoint;
    if (await beginsWith(log, checkpoint, nodeSha256)) return { text: noteText(given), size };
    throw new StoreError(
      'CHECKPOINT_FORKED',
      `this log of ${log.head.seq} events does not begin with the ${size} events of the checkpoint`,
      { data: { size, head: log.head.seq } },
    );
  }

  async #record(seq: number): Promise<Uint8Array> {
    for await (const [entry] of this.#options.log.entryPages({ from: seq, to: seq })) {
      if (entry !== undefined) return entry.record;
    }
    throw new StoreError('INTERNAL', `event ${seq} was proved, and is not there`);
  }
}

function notIn(seq: number, size: number): StoreError {
  return new StoreError('EVENT_NOT_FOUND', `the checkpoint is of ${size} events, and has no event ${seq}`, {
    data: { seq, size },
  });
}
