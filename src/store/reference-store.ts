import { isDigest } from '../model/digest.js';
import { canonicalReference } from '../model/reference.js';
import { mustBeBoolean, mustBeString } from './argument-types.js';
import type { CommandPort } from './write/command.js';
import { decideTag, decideUntag } from './decide/tag.js';
import { ReferenceReader, type ReferenceReaderParts } from './reference-reader.js';
import { originOf } from './write/envelope.js';
import type { WriteOptions } from './store.js';

export interface ReferenceStoreParts extends ReferenceReaderParts {
  readonly port: CommandPort;
  readonly actor: string;
}

/** Names of images: Docker's reference store over the references view. */
export class ReferenceStore extends ReferenceReader {
  readonly #parts: ReferenceStoreParts;

  constructor(parts: ReferenceStoreParts) {
    super(parts);
    this.#parts = parts;
  }

  async tag(
    reference: string,
    idOrReference: string,
    options: WriteOptions & { readonly overwrite?: boolean | undefined } = {},
  ): Promise<void> {
    mustBeString('reference', reference);
    mustBeString('idOrReference', idOrReference);
    mustBeBoolean('overwrite', options.overwrite);
    const source = isDigest(idOrReference) ? idOrReference : canonicalReference(idOrReference);
    const decide = decideTag(canonicalReference(reference), source, options.overwrite ?? true);
    await this.#parts.port.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }

  async untag(reference: string, options: WriteOptions = {}): Promise<void> {
    mustBeString('reference', reference);
    const decide = decideUntag(canonicalReference(reference));
    await this.#parts.port.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }
}
