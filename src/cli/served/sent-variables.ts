/** Variables that change what a command prints, or writes where its user left out an option. */
const SENT: ReadonlySet<string> = new Set([
  'COLUMNS',
  'FORCE_COLOR',
  'IMAGELOG_ACTOR',
  'IMAGELOG_DEBUG',
  'IMAGELOG_WAIT',
  'LANG',
  'NO_COLOR',
  'TERM',
  'TZ',
]);

/**
 * Whether a client sends an environment variable, and a server takes it. All others stay with the
 * client: they name files and programs, or are secrets.
 */
export function isSent(variable: string): boolean {
  return SENT.has(variable) || variable.startsWith('LC_');
}
