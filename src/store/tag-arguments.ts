import { type OptionNames, refuseUnknown } from '../model/option-names.js';
import { StoreError } from '../errors.js';
import { isDigest } from '../model/digest.js';
import { canonicalReference } from '../model/reference.js';
import { mustBeObject, mustBeString } from './argument-types.js';

/** What `tag` points at what. */
export interface TagRequest {
  /** The id of an image, the digest of an artifact, or a reference. */
  readonly source: string;
  /** The reference to set. */
  readonly target: string;
}

const tagRequestNames: OptionNames<TagRequest> = { source: true, target: true };

/**
 * Returns a request with canonical references. `second` is what the caller passed after it: text
 * there is a call with two names in a row, whose order only the caller knows.
 * @throws {TypeError} which has the call to write instead
 * @throws {StoreError} REFERENCE_INVALID, also for a target that is a digest
 */
export function checkedTag(request: TagRequest, second: unknown): TagRequest {
  if (typeof request === 'string') throw namesInARow(request, second);
  mustBeObject('tag', request);
  refuseUnknown(request, tagRequestNames, 'name in a tag');
  const { source, target } = request;
  mustBeString('source', source);
  mustBeString('target', target);
  if (isDigest(target)) {
    throw new StoreError(
      'REFERENCE_INVALID',
      `${target} is a digest, and the target of a tag must be a name${isDigest(source) ? '' : ': are source and target reversed?'}`,
      { data: { source, target } },
    );
  }
  return { source: isDigest(source) ? source : canonicalReference(source), target: canonicalReference(target) };
}

function namesInARow(first: string, second: unknown): TypeError {
  if (typeof second !== 'string') return new TypeError(`tag takes an object: write ${callOf('…', first)}`);
  if (isDigest(second)) {
    return new TypeError(
      `tag takes an object, and the order of its names is that of docker tag, the image first: write ${callOf(second, first)}`,
    );
  }
  if (isDigest(first)) return new TypeError(`tag takes an object: write ${callOf(first, second)}`);
  return new TypeError(
    `tag takes an object: write ${callOf(second, first)} to point ${first} at what ${second} is, as two names in a row ` +
      `did before, or ${callOf(first, second)} for what docker tag does`,
  );
}

function callOf(source: string, target: string): string {
  return `tag({ source: ${shown(source)}, target: ${shown(target)} })`;
}

function shown(name: string): string {
  return `'${name.slice(0, 200)}'`;
}
