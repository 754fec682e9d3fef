import { type Digest, digestOf } from '../../../src/model/digest.js';
import { imageNamed, indexOf, type Pushable, signatureOf } from '../../support/pushed-images.js';

const NAME = 'shop/app';
export const REPOSITORY = `docker.io/${NAME}`;

/** A manifest that a client began to push, with a tag that nothing else has and one that moves. */
export interface BegunPush {
  readonly pushed: Pushable;
  readonly tag: string;
  readonly moving: string;
}

/** What clients of a server that is killed again and again know. */
export class PushRecord {
  readonly begun: BegunPush[] = [];
  readonly acknowledged = new Set<BegunPush>();
  /** Blobs whose upload was acknowledged. */
  readonly uploaded = new Map<Digest, Uint8Array>();
  /** Blobs of every upload that began. */
  readonly known = new Set<Digest>();
}

/** Pushes one manifest after another to a server, until it is gone. */
export class PushingClient {
  readonly #root: string;
  readonly #record: PushRecord;
  readonly #onAnswer: () => void;

  constructor(port: number, record: PushRecord, onAnswer: () => void) {
    this.#root = `http://127.0.0.1:${port}/v2/${NAME}`;
    this.#record = record;
    this.#onAnswer = onAnswer;
  }

  /** Resolves when the server is gone. @throws {Error} for an answer that is no success */
  async run(round: number, lane: number): Promise<void> {
    try {
      for (let number = 0; ; number++) await this.#pushKind(`${round}-${lane}-${number}`, number, `lane-${lane}`);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }

  async #pushKind(tag: string, number: number, moving: string): Promise<void> {
    // Lanes share a layer of each number, which they may upload at once.
    const image = await imageNamed(tag, { files: [`shared ${number}`, tag.repeat(5_000)] });
    await this.#push({ pushed: image, tag, moving });
    if (number % 3 === 1) await this.#push({ pushed: signatureOf(image, tag), tag: `${tag}-signed`, moving });
    if (number % 3 === 2) await this.#push({ pushed: indexOf([image]), tag: `${tag}-index`, moving });
  }

  async #push(push: BegunPush): Promise<void> {
    const { begun, acknowledged, known, uploaded } = this.#record;
    const { pushed, tag, moving } = push;
    for (const blob of pushed.blobs) {
      const digest = digestOf(blob);
      known.add(digest);
      await this.#send('POST', `blobs/uploads/?digest=${digest}`, blob, 'application/octet-stream');
      uploaded.set(digest, blob);
    }
    begun.push(push);
    await this.#send('PUT', `manifests/${tag}?tag=${moving}`, pushed.bytes, pushed.mediaType);
    acknowledged.add(push);
  }

  async #send(method: string, path: string, body: Uint8Array, type: string): Promise<void> {
    const headers = { 'content-type': type };
    const answer = await fetch(`${this.#root}/${path}`, { method, headers, body: body as Uint8Array<ArrayBuffer> });
    if (answer.status !== 201) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    this.#onAnswer();
  }
}
