import { StoreError } from '../errors.js';

/** Whether a store may be read and written: asked before every call. */
export class StoreState {
  readonly directory: string;
  readonly readOnly: boolean;
  #isClosed = false;

  constructor(directory: string, readOnly: boolean) {
    this.directory = directory;
    this.readOnly = readOnly;
  }

  /** From now on nothing may be read or written. */
  close(): void {
    this.#isClosed = true;
  }

  /** @throws {StoreError} STORE_CLOSED */
  checkOpen(): void {
    if (this.#isClosed) throw this.closedError();
  }

  /** @throws {StoreError} STORE_CLOSED, STORE_READ_ONLY */
  checkWritable(): void {
    this.checkOpen();
    if (this.readOnly) throw this.readOnlyError();
  }

  closedError(): StoreError {
    return new StoreError('STORE_CLOSED', `the store ${this.directory} is closed`, {
      data: { directory: this.directory },
    });
  }

  readOnlyError(): StoreError {
    return new StoreError('STORE_READ_ONLY', `the store ${this.directory} was opened for reading only`, {
      data: { directory: this.directory },
    });
  }
}
