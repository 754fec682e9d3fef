import { readFile } from 'node:fs/promises';
import { StoreError, thrownText } from '../../errors.js';
import { MAX_SETTINGS_FILE_BYTES } from '../../limits.js';
import { systemCode } from '../../store/files/files.js';

/** A file of settings, and the option that names it. */
interface SettingsFile {
  readonly option: string;
  readonly path: string;
}

/**
 * Reads the file of settings of `option`, JSON in the form of `Options`, and resolves with what `check` makes of it.
 * @throws {StoreError} SETTING_INVALID naming option and file: it cannot be read, is not JSON or too large, or
 *   `check` throws a TypeError or RangeError; those of `check`, naming them too
 */
export async function readSettings<Options, Checked>(
  { option, path }: SettingsFile,
  check: (options: Options) => Checked | Promise<Checked>,
): Promise<Checked> {
  const what = `${option}: the file ${path}`;
  const bytes = await readFile(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') throw invalid(`${option}: there is no such file: ${path}`, path, error);
    throw invalid(`${what} cannot be read: ${systemCode(error)}`, path, error);
  });
  if (bytes.length > MAX_SETTINGS_FILE_BYTES) {
    throw invalid(`${what} has ${bytes.length} bytes, at most ${MAX_SETTINGS_FILE_BYTES} are allowed`, path);
  }
  let options: Options;
  try {
    options = JSON.parse(bytes.toString());
  } catch (error) {
    throw invalid(`${what} is not JSON: ${thrownText(error)}`, path, error);
  }
  try {
    return await check(options);
  } catch (error) {
    if (error instanceof StoreError) {
      const { code, message, data } = error;
      throw new StoreError(code, `${what}: ${message}`, { cause: error, data });
    }
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw invalid(`${what} is not valid: ${error.message}`, path, error);
  }
}

function invalid(message: string, path: string, cause?: unknown): StoreError {
  return new StoreError('SETTING_INVALID', message, { cause, data: { path } });
}
