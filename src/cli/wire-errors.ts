import { type ErrorCode, errorKinds, StoreError } from '../errors.js';

/* Errors between a client and its server: those of files, which one side has and the other reports. */

/** An error as JSON. */
export interface WireError {
  /** Of a StoreError. */
  readonly code?: string | undefined;
  /** Of an error of the system. */
  readonly system?: string | undefined;
  readonly message: string;
  readonly data?: unknown;
}

/** Returns an error for the other side, which prints the same of it. */
export function toWire(error: unknown): WireError {
  if (error instanceof StoreError) return { code: error.code, message: error.message, data: error.data };
  if (!(error instanceof Error)) return { message: String(error) };
  return { message: error.message, system: 'code' in error ? String(error.code) : undefined };
}

/** Returns the error that `toWire` was given; of anything else an Error. */
export function fromWire(value: unknown): Error {
  const { code, message, system, data } = Object(value) as Partial<WireError>;
  const text = typeof message === 'string' ? message : 'the client failed';
  if (isErrorCode(code)) {
    const facts = typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
    return new StoreError(code, text, { data: facts });
  }
  return Object.assign(new Error(text), typeof system === 'string' ? { code: system } : {});
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorKinds, code);
}
