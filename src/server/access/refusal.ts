import type { HttpCode } from '../failure.js';

const answers = {
  /** Not the form of credentials. */
  malformed: [400, 'REQUEST_INVALID'],
  /** Credentials that prove nothing. */
  unproved: [401, 'UNAUTHORIZED'],
  /** Credentials that must not be used here. */
  denied: [403, 'DENIED'],
  'too many': [429, 'TOOMANYREQUESTS'],
  /** Cannot be decided now. */
  undecided: [503, 'UNAVAILABLE'],
} as const satisfies Record<string, readonly [status: number, code: HttpCode]>;

/** Credentials that were refused. The message is for the client, the reason for the access log. */
export class AccessRefusal extends Error {
  override readonly name = 'AccessRefusal';
  readonly status: number;
  readonly code: HttpCode;
  readonly reason: string;
  /** Name given with the credentials. */
  readonly user: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    answer: keyof typeof answers,
    message: string,
    { reason = message, user, retryAfterSeconds }: RefusalFacts = {},
  ) {
    super(message);
    [this.status, this.code] = answers[answer];
    this.reason = reason;
    this.user = user;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface RefusalFacts {
  /** Default: the message. */
  readonly reason?: string;
  readonly user?: string | undefined;
  readonly retryAfterSeconds?: number;
}
