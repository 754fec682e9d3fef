import { StoreError } from '../errors.js';
import { type Digest, digestFromHash, HASH_BYTES, hashFromDigest } from '../model/digest.js';
import type { Descriptor } from '../model/events.js';

/** Returns a digest as a record holds it: its 32 bytes. */
export function packDigest(digest: Digest): Uint8Array {
  return hashFromDigest(digest);
}

/** Returns an optional digest as a record holds it: its 32 bytes or nil. */
export function packOptionalDigest(digest: Digest | undefined): Uint8Array | null {
  return digest === undefined ? null : packDigest(digest);
}

/** Returns a descriptor as a record holds it: digest, size, media type. */
export function packDescriptor(descriptor: Descriptor): unknown[] {
  return [packDigest(descriptor.digest), descriptor.size, descriptor.mediaType];
}

/**
 * Takes the values of a record one after another, each as the type it must have. Every
 * method throws LOG_CORRUPT that names the field when the value is another.
 */
export class FieldReader {
  readonly #values: readonly unknown[];
  #at = 0;

  constructor(values: readonly unknown[]) {
    this.#values = values;
  }

  /** A whole number from 0 to 2^53 - 1. */
  integer(field: string): number {
    const value = this.#values[this.#at++];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.fault(field, 'is not a whole number');
  }

  text(field: string): string {
    const value = this.#values[this.#at++];
    if (typeof value === 'string') return value;
    throw this.fault(field, 'is not a string');
  }

  optionalText(field: string): string | undefined {
    return this.#absent() ? undefined : this.text(field);
  }

  bytes(field: string): Uint8Array {
    const value = this.#values[this.#at++];
    if (value instanceof Uint8Array) return value;
    throw this.fault(field, 'is not binary');
  }

  /** A digest, branded as the caller's field has it. */
  digest<Id extends Digest>(field: string): Id {
    const hash = this.bytes(field);
    if (hash.length === HASH_BYTES) return digestFromHash(hash) as Id;
    throw this.fault(field, `is ${hash.length} bytes and no hash`);
  }

  optionalDigest<Id extends Digest>(field: string): Id | undefined {
    return this.#absent() ? undefined : this.digest<Id>(field);
  }

  /** The items of an array, each read by `readItem` to its end. */
  list<Item>(field: string, readItem: (item: FieldReader) => Item): Item[] {
    const value = this.#values[this.#at++];
    if (!Array.isArray(value)) throw this.fault(field, 'is not an array');
    return value.map((values: unknown) => this.#item(field, values, readItem));
  }

  optionalList<Item>(field: string, readItem: (item: FieldReader) => Item): Item[] | undefined {
    return this.#absent() ? undefined : this.list(field, readItem);
  }

  descriptor(field: string): Descriptor {
    return this.#item(field, this.#values[this.#at++], readDescriptor);
  }

  optionalDescriptor(field: string): Descriptor | undefined {
    return this.#absent() ? undefined : this.descriptor(field);
  }

  /** Refuses values that nothing read. */
  end(): void {
    if (this.#at !== this.#values.length) {
      throw this.fault('length', `is ${this.#values.length}, expected ${this.#at}`);
    }
  }

  fault(field: string, why: string): StoreError {
    return new StoreError('LOG_CORRUPT', `a record is damaged: its field ${field} ${why}`, { data: { field } });
  }

  #absent(): boolean {
    if (this.#values[this.#at] !== null) return false;
    this.#at++;
    return true;
  }

  #item<Item>(field: string, values: unknown, readItem: (item: FieldReader) => Item): Item {
    if (!Array.isArray(values)) throw this.fault(field, 'is not an array');
    const reader = new FieldReader(values);
    const item = readItem(reader);
    reader.end();
    return item;
  }
}

function readDescriptor(fields: FieldReader): Descriptor {
  return { digest: fields.digest('digest'), size: fields.integer('size'), mediaType: fields.text('mediaType') };
}
