import { type ErrorCode, StoreError } from '../../errors.js';
import { type HttpCode, HttpFailure } from '../failure.js';

/** Answers to errors of the store, in the words of the OCI distribution spec. */
const answers: Partial<Readonly<Record<ErrorCode, readonly [status: number, code: HttpCode]>>> = {
  BLOB_NOT_FOUND: [400, 'MANIFEST_BLOB_UNKNOWN'],
  BLOB_MISSING: [404, 'BLOB_UNKNOWN'],
  BLOB_MISMATCH: [400, 'DIGEST_INVALID'],
  ARCHIVE_MANIFEST_INVALID: [400, 'MANIFEST_INVALID'],
  ARCHIVE_LIMIT_EXCEEDED: [413, 'MANIFEST_INVALID'],
  RECORD_TOO_LARGE: [413, 'MANIFEST_INVALID'],
  REFERENCE_INVALID: [400, 'NAME_INVALID'],
  REFERENCE_NOT_FOUND: [404, 'MANIFEST_UNKNOWN'],
  CONTENT_ERASED: [404, 'MANIFEST_UNKNOWN'],
  CONTENT_IN_USE: [405, 'UNSUPPORTED'],
  TIME_INVALID: [404, 'NAME_UNKNOWN'],
  TIME_OUT_OF_RANGE: [404, 'NAME_UNKNOWN'],
  UPLOAD_NOT_FOUND: [404, 'BLOB_UPLOAD_UNKNOWN'],
  UPLOAD_OUT_OF_ORDER: [416, 'BLOB_UPLOAD_INVALID'],
  UPLOAD_LIMIT_EXCEEDED: [429, 'TOOMANYREQUESTS'],
  SERVER_BUSY: [503, 'TOOMANYREQUESTS'],
  LAYERS_UNAVAILABLE: [405, 'UNSUPPORTED'],
  STORE_READ_ONLY: [405, 'UNSUPPORTED'],
};

function answerOf({ code, data }: StoreError): readonly [status: number, code: HttpCode] | undefined {
  // No later try has room for a blob that is too large.
  if (code === 'UPLOAD_LIMIT_EXCEEDED' && data['limit'] === 'uploadBytes') return [413, 'SIZE_INVALID'];
  return answers[code];
}

/** Seconds after which a client that was refused for a limit may try again, by status. */
const retryAfterSeconds: Readonly<Record<number, number>> = { 429: 60, 503: 5 };

/** Returns an error of the store as the registry answers it; others as they are. */
export function asRegistryFailure(error: unknown): unknown {
  const [status, code] = (error instanceof StoreError ? answerOf(error) : undefined) ?? [];
  if (!(error instanceof StoreError) || status === undefined || code === undefined) return error;
  const detail = Object.keys(error.data).length === 0 ? undefined : error.data;
  const seconds = retryAfterSeconds[status];
  const headers: Record<string, string> = seconds === undefined ? {} : { 'retry-after': String(seconds) };
  return new HttpFailure(status, code, error.message, { detail, headers });
}
