import { StoreError } from '../../errors.js';
import { NEWEST_VERSION, parseSidecar, readSidecarBytes, SIDECAR_FILE } from '../../store/open/sidecar.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { printable } from '../../model/texts.js';
import { version } from '../../store/version.js';

/** `imagelog version`: versions of the program, of Node and of the store, which it does not open. */
export const versionGrammar: Grammar = () => ({
  about: 'Also where the store is, and whether it is there. Does not open it.',
  examples: [
    ['imagelog version', 'show what to put into a report of a fault'],
    ['imagelog version --quiet', 'print the version alone, as `imagelog --version`'],
    ['imagelog version --json | jq -r .store.path', 'print where the store is'],
  ],
  action: showVersion,
});

async function showVersion(context: CommandContext): Promise<void> {
  const { directory, json, quiet, out } = context;
  if (quiet && !json) return await out.line(version());
  const store = await storeFacts(directory);
  if (json) {
    return await writeJson(context, { version: version(), node: process.version, storeFormat: NEWEST_VERSION, store });
  }
  for (const [name, value] of [
    ['imagelog', version()],
    ['node', process.version],
    ['format', `${NEWEST_VERSION}, and reads all before it`],
    ['store', `${printable(directory)} (${stateText(store)})`],
  ] as const) {
    await out.line(`${name.padEnd(8)}  ${value}`);
  }
}

interface StoreFacts {
  readonly path: string;
  readonly exists: boolean;
  /** Null unless it could be read. */
  readonly format: number | null;
  readonly id: string | null;
  /** Code of the error that its identity gives. */
  readonly problem: string | null;
}

async function storeFacts(path: string): Promise<StoreFacts> {
  const none = { path, exists: false, format: null, id: null, problem: null };
  try {
    const bytes = await readSidecarBytes(path);
    if (bytes === undefined) return none;
    const { version: format, storeId } = parseSidecar(path, bytes);
    return { ...none, exists: true, format, id: storeId };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const format = typeof error.data['version'] === 'number' ? error.data['version'] : null;
    return { ...none, exists: true, format, problem: error.code };
  }
}

function stateText({ exists, format, problem }: StoreFacts): string {
  if (!exists) return 'not there';
  if (problem === null) return `there, format ${format}`;
  return `there, but ${SIDECAR_FILE} cannot be used: ${problem}`;
}
