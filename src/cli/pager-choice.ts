import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { CommandContext } from './context.js';

/**
 * Returns the shell command that shows a long answer: `$IMAGELOG_PAGER`, else `$PAGER`, else `less`
 * if it is there. Undefined for none: not a terminal, `--no-pager`, `--quiet`, an empty variable or
 * `cat`.
 */
export function pagerCommand({ out, quiet, pager, io: { env } }: CommandContext): string | undefined {
  if (!out.isTerminal || quiet || !pager || env['TERM'] === 'dumb') return undefined;
  const named = env['IMAGELOG_PAGER'] ?? env['PAGER'];
  if (named !== undefined) return named.trim() === '' || named.trim() === 'cat' ? undefined : named;
  return (env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, 'less'))) ? 'less' : undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
