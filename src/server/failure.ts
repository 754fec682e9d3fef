import { type ErrorCode, type ErrorKind, StoreError } from '../errors.js';

/**
 * Codes of answers that report a failure: those of the OCI distribution spec (spec.md, "Error
 * Codes"), and five for what it has no word for. Others are codes of `StoreError`.
 */
export type HttpCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'UNAVAILABLE'
  | 'RANGE_INVALID'
  | 'REQUEST_INVALID'
  | 'UPSTREAM_FAILED'
  | 'PATH_UNKNOWN'
  | 'URI_TOO_LONG'
  | 'HEADERS_TOO_LARGE'
  | 'CONSUMER_EXISTS'
  | 'STOPPING';

/** A request that is answered with an error. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure';
  readonly status: number;
  readonly code: HttpCode;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: HttpCode,
    message: string,
    { detail, headers = {} }: { readonly detail?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.headers = headers;
  }
}

const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  NotFound: 404,
  InvalidParameter: 400,
  Conflict: 409,
  Unavailable: 503,
  Corrupt: 500,
  Internal: 500,
};

/** What clients are told of errors whose messages name files of the server: its operator gets those. */
const publicMessages: Readonly<Partial<Record<ErrorCode, string>>> = {
  DISK_FULL: 'no space is left on the disk of the server',
  IO_FAILED: 'the server cannot use a file of its store',
  STORE_CLOSED: 'the store is closed',
};

/** An answer to a failed request. */
interface FailureAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** In the form of the OCI distribution spec, for every path. */
  readonly body: {
    readonly errors: readonly [{ readonly code: string; readonly message: string; readonly detail?: unknown }];
  };
}

/** Returns the answer for what a handler threw. An unexpected error tells nothing of itself. */
export function answerTo(error: unknown): FailureAnswer {
  if (error instanceof HttpFailure) {
    const { status, headers, code, message, detail } = error;
    return { status, headers, body: { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] } };
  }
  if (error instanceof StoreError) {
    const { code, kind } = error;
    const message = publicMessages[code] ?? error.message;
    const headers: Record<string, string> = kind === 'Unavailable' ? { 'retry-after': '5' } : {};
    return { status: statusOfKind[kind], headers, body: { errors: [{ code, message }] } };
  }
  return { status: 500, headers: {}, body: { errors: [{ code: 'INTERNAL', message: 'the server failed' }] } };
}

/** Returns the failure of a request of which no URL can be made, its target or its Host: it reaches no route. */
export function asRequestFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'RequestError') return error;
  return new HttpFailure(400, 'REQUEST_INVALID', error.message, { headers: { connection: 'close' } });
}
