import type { Answer } from './registry-client.js';

/** A registry does what the specification forbids, or not what it requires. */
export class Unmet extends Error {
  override readonly name = 'Unmet';
}

/** A registry says, in a way that the specification allows, that it has no such feature. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported';
}

/** @throws {Unmet} with `what` unless it holds */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Unmet(what);
}

/** @throws {Unmet} with the codes that were answered, when it is another status */
export function demandStatus(answer: Answer, ...allowed: readonly number[]): void {
  demand(
    allowed.includes(answer.status),
    `${answer.asked}: ${answer.status}, not ${allowed.join(' or ')}${told(answer)}`,
  );
}

function told({ body }: Answer): string {
  return body.length === 0 ? '' : `: ${body.toString('utf8', 0, 200)}`;
}

/** Returns the header, which must be there. @throws {Unmet} */
export function demandHeader(answer: Answer, name: string): string {
  const value = answer.value(name);
  demand(value !== undefined && value !== '', `${answer.asked}: no ${name}`);
  return value;
}

/** @throws {Unmet} unless one of the lines of the header is `expected` */
export function demandHeaderIs(answer: Answer, name: string, ...expected: readonly string[]): void {
  const values = answer.values(name);
  demand(
    values.some((value) => expected.includes(value)),
    `${answer.asked}: ${name} is ${JSON.stringify(values)}, not ${expected.join(' or ')}`,
  );
}

/** @throws {Unmet} unless the body is these bytes */
export function demandBody(answer: Answer, expected: Uint8Array): void {
  demand(
    Buffer.compare(answer.body, expected) === 0,
    `${answer.asked}: ${answer.body.length} bytes that are not the ${expected.length} expected`,
  );
}

/** Returns the URL of the Location header, relative to what was asked. @throws {Unmet} */
export function demandLocation(answer: Answer): URL {
  return new URL(demandHeader(answer, 'location'), answer.url);
}

/** @throws {Unmet} when the digest header is of other content, or missing although `required` */
export function demandDigest(answer: Answer, digest: string, required: boolean): void {
  const value = answer.value('docker-content-digest');
  if (value === undefined && !required) return;
  demand(value === digest, `${answer.asked}: Docker-Content-Digest is ${value}, not ${digest}`);
}

const CODES = new Set(
  'BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS'.split(
    ' ',
  ),
);

/**
 * Demands an error in JSON whose first code is one of `codes`, and whose others are of the table in
 * "Error Codes". @throws {Unmet}
 */
export function demandError(answer: Answer, ...codes: readonly string[]): void {
  const { errors } = jsonOf(answer) as { errors?: readonly { code?: unknown; message?: unknown }[] };
  demand(Array.isArray(errors) && errors.length > 0, `${answer.asked}: no list of errors${told(answer)}`);
  for (const { code, message } of errors) {
    demand(typeof code === 'string' && CODES.has(code), `${answer.asked}: ${code} is no code of the specification`);
    demand(message === undefined || typeof message === 'string', `${answer.asked}: the message is no text`);
  }
  const found = errors.map(({ code }) => String(code));
  demand(
    found.some((code) => codes.includes(code)),
    `${answer.asked}: ${found.join(', ')}, not ${codes.join(' or ')}`,
  );
}

/** Returns the body as JSON. @throws {Unmet} when it is malformed */
export function jsonOf(answer: Answer): unknown {
  try {
    return JSON.parse(answer.body.toString('utf8'));
  } catch {
    throw new Unmet(`${answer.asked}: no JSON${told(answer)}`);
  }
}
