/** The command line asks for something that cannot be meant; exit code 2. The message is one sentence for a person. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
