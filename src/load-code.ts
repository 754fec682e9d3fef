import { StoreError } from './errors.js';

/**
 * Resolves with code that is loaded when it is first needed. Node remembers a module that it could not load, and does not try again:
 * hence `openStore` loads what an open store may need, while it can still fail. Decoders of rarer compressions wait for their first layer.
 * @throws {StoreError} IO_FAILED when it cannot be loaded, which only a new process can
 */
export async function loadCode<Code>(what: string, code: Promise<Code>): Promise<Code> {
  try {
    return await code;
  } catch (cause) {
    throw new StoreError('IO_FAILED', `cannot load the code ${what}: a new process may be able to`, { cause });
  }
}
