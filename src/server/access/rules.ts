import { StoreError } from '../../errors.js';
import { familiarReference } from '../../model/reference.js';
import { globMatcher, repositoryMatcher } from '../../model/reference-pattern.js';
import type { Action, Grant } from './access.js';
import { type ClaimPatterns, invalidOption, type ProofKind, type Rule } from './options.js';

/** Who sent a request, as proved. */
export interface Identity {
  /** The actor, and other names that rules may mean. */
  readonly names: readonly [actor: string, ...others: string[]];
  readonly by: ProofKind;
  /** Of a token. */
  readonly issuer?: string | undefined;
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

type Matcher = (text: string) => boolean;

interface CompiledRule {
  /** Undefined: nobody logged in. */
  readonly isFor: (identity: Identity | undefined) => boolean;
  readonly may: ReadonlySet<Action>;
  /** Undefined: the whole store. */
  readonly repositories: readonly Matcher[] | undefined;
}

/** The rules of a server. */
export class Rules {
  readonly #rules: readonly CompiledRule[];
  readonly hasAnonymous: boolean;

  /** The rules were checked. @throws {StoreError} ACCESS_INVALID for a pattern that cannot be read */
  constructor(rules: readonly Rule[]) {
    this.#rules = rules.map(compile);
    this.hasAnonymous = rules.some(({ who }) => who === 'anonymous');
  }

  /** Returns the numbers of the rules for `identity`, from 0. */
  of(identity: Identity | undefined): readonly number[] {
    return this.#rules.flatMap(({ isFor }, at) => (isFor(identity) ? [at] : []));
  }

  /** Returns the grant of these rules, for `actor` or, if undefined, one who did not log in. */
  grant(actor: string | undefined, numbers: readonly number[]): Grant {
    const rules = numbers.flatMap((at) => this.#rules[at] ?? []);
    return {
      actor,
      isLoggedIn: actor !== undefined,
      hasRights: rules.some(({ may }) => may.size > 0),
      mayNameActor: false,
      may: (action, repository) => rules.some((rule) => allows(rule, action, repository)),
    };
  }
}

function allows({ may, repositories }: CompiledRule, action: Action, repository: string | undefined): boolean {
  if (!may.has(action) && !may.has('admin')) return false;
  if (repositories === undefined) return true;
  if (repository === undefined) return false;
  const forms = [repository, familiar(repository)];
  return repositories.some((matches) => forms.some(matches));
}

/** What is not a repository has no other form. */
function familiar(repository: string): string {
  try {
    return familiarReference(repository);
  } catch (error) {
    if (error instanceof StoreError) return repository;
    throw error;
  }
}

function compile({ who, by, may, repositories }: Rule, at: number): CompiledRule {
  return {
    isFor: typeof who === 'string' ? namedTest(who, by, at) : claimsTest(who, at),
    may: new Set(may),
    repositories: repositories?.map((pattern) => compiled(repositoryMatcher, pattern, `rules[${at}].repositories`)),
  };
}

function namedTest(who: string, by: readonly ProofKind[] | undefined, at: number): CompiledRule['isFor'] {
  if (who === 'anonymous') return () => true;
  const matches = who === '*' ? () => true : glob(who.normalize('NFC'), `rules[${at}].who`);
  return (identity) => {
    if (identity === undefined) return false;
    return (by?.includes(identity.by) ?? identity.by !== 'token') && identity.names.some(matches);
  };
}

function claimsTest({ issuer, claims }: ClaimPatterns, at: number): CompiledRule['isFor'] {
  const tests = Object.entries(claims).map(
    ([claim, pattern]) => [claim, glob(pattern, `rules[${at}].who.claims.${claim}`)] as const,
  );
  return (identity) => {
    const given = identity?.claims;
    if (given === undefined || (issuer !== undefined && identity?.issuer !== issuer)) return false;
    return tests.every(([claim, matches]) => valuesOf(given, claim).some(matches));
  };
}

/** Returns the values of a claim as text; none for objects. */
export function valuesOf(claims: Readonly<Record<string, unknown>>, claim: string): string[] {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.flatMap((each) => (['string', 'number', 'boolean'].includes(typeof each) ? [String(each)] : []));
}

function glob(pattern: string, where: string): Matcher {
  return compiled(globMatcher, pattern, where);
}

/** @throws {StoreError} ACCESS_INVALID */
function compiled(compilePattern: (pattern: string) => Matcher, pattern: string, where: string): Matcher {
  try {
    return compilePattern(pattern);
  } catch (cause) {
    if (cause instanceof StoreError) throw invalidOption(where, `a pattern: ${cause.message}`, cause);
    throw cause;
  }
}
