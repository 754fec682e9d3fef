import { type HttpCode, HttpFailure } from '../failure.js';
import type { Grant, Refusal } from './access.js';

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

/** The answer to a request that is refused, and what the access log has of it. */
interface Refused {
  readonly failure: HttpFailure;
  readonly facts: Pick<Refusal, 'status' | 'reason' | 'user'>;
}

/** Refuses credentials; `challenge` says how to log in. */
export function refuseCredentials(refusal: AccessRefusal, challenge: string | undefined): Refused {
  const { status, code, message, reason, user, retryAfterSeconds } = refusal;
  const headers = {
    ...(status === 401 && challenge !== undefined ? { 'www-authenticate': challenge } : {}),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  };
  return { failure: new HttpFailure(status, code, message, { headers }), facts: { status, reason, user } };
}

/** Refuses a client that may not do `what`: it has to log in where it has not, else it is denied. */
export function refuseAction({ actor, isLoggedIn }: Grant, what: string, challenge: string | undefined): Refused {
  if (isLoggedIn || challenge === undefined) {
    const reason = `may not ${what}`;
    const user = isLoggedIn ? actor : undefined;
    return { failure: new HttpFailure(403, 'DENIED', reason), facts: { status: 403, reason, user } };
  }
  const headers = { 'www-authenticate': challenge };
  return {
    failure: new HttpFailure(401, 'UNAUTHORIZED', `log in to ${what}`, { headers }),
    facts: { status: 401, reason: `no credentials to ${what}`, user: undefined },
  };
}

interface RefusalFacts {
  /** Default: the message. */
  readonly reason?: string;
  readonly user?: string | undefined;
  readonly retryAfterSeconds?: number;
}
