/** Verification found damage, and every violation was said already; exit code 4. The message is one sentence for a person. */
export class DamageFound extends Error {
  override readonly name = 'DamageFound';
  /** What to do about it. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
