import { readFile } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { MAX_SETTINGS_FILE_BYTES } from '../../limits.js';
import { systemCode } from '../../store/files/files.js';

/**
 * Reads a file of settings, JSON in the form of `Options`, and resolves with what `check` makes of it.
 * @throws {StoreError} SETTING_INVALID naming the file: it cannot be read, is not JSON or too large, or
 *   `check` throws a TypeError or RangeError; other errors of `check`
 */
export async function readSettings<Options, Checked>(
  path: string,
  check: (options: Options) => Checked | Promise<Checked>,
): Promise<Checked> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw invalid(path, `cannot be read: ${systemCode(error)}`, error);
  });
  if (bytes.length > MAX_SETTINGS_FILE_BYTES) {
    throw invalid(path, `has ${bytes.length} bytes, at most ${MAX_SETTINGS_FILE_BYTES} are allowed`);
  }
  let options: Options;
  try {
    options = JSON.parse(bytes.toString());
  } catch (error) {
    throw invalid(path, `is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  try {
    return await check(options);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw invalid(path, `is not valid: ${error.message}`, error);
  }
}

function invalid(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError('SETTING_INVALID', `the file ${path} ${why}`, { cause, data: { path } });
}
