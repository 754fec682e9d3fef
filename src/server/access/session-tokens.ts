import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { SESSION_TOKEN_MS } from '../../limits.js';
import type { SessionToken } from './access.js';

/** What a session token vouches for. */
export interface Session {
  /** Undefined: nobody logged in. */
  readonly actor: string | undefined;
  /** Numbers of the rules for it. */
  readonly rules: readonly number[];
  /** Milliseconds since the epoch; at most SESSION_TOKEN_MS after its token was made. */
  readonly untilMs: number;
}

const PREFIX = 'imagelog_';

/**
 * Makes and checks tokens that stand for a login (the token protocol of Docker registries), under a
 * key of this process: a restart ends all of them.
 */
export class SessionTokens {
  readonly #key = randomBytes(32);
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A token of a session that began with a token ends with it. */
  make({ actor, rules, untilMs }: Session): SessionToken {
    const now = this.#now();
    const endMs = Math.min(untilMs, now + SESSION_TOKEN_MS);
    const payload = Buffer.from(JSON.stringify([actor ?? null, rules, endMs])).toString('base64url');
    return {
      token: `${PREFIX}${payload}.${this.#mac(payload).toString('base64url')}`,
      expiresInSeconds: Math.max(0, Math.floor((endMs - now) / 1000)),
      issuedAt: new Date(now),
    };
  }

  isOne(token: string): boolean {
    return token.startsWith(PREFIX);
  }

  /** Returns what the token vouches for; undefined if it is not ours, or over. */
  read(token: string): Session | undefined {
    const [payload = '', mac = '', more] = token.slice(PREFIX.length).split('.');
    const [given, expected] = [Buffer.from(mac, 'base64url'), this.#mac(payload)];
    if (more !== undefined || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    // Only we can have made it: its form is known.
    const session = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [string | null, number[], number];
    const [actor, rules, untilMs] = session;
    return untilMs > this.#now() ? { actor: actor ?? undefined, rules, untilMs } : undefined;
  }

  #mac(payload: string): Buffer {
    return createHmac('sha256', this.#key).update(payload).digest();
  }
}
