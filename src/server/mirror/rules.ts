import { StoreError } from '../../errors.js';
import type { OptionNames } from '../../model/option-names.js';
import { familiarReference, formatReference, parseReference, type Reference } from '../../model/reference.js';
import { globMatcher, repositoryMatcher } from '../../model/reference-pattern.js';
import { mustBeOptions, mustBeString } from '../../store/argument-types.js';

/** What becomes of a tag that the upstream moved. */
export type MovedTags = 'follow' | 'flag' | 'refuse';

/** Repositories that are copied from another registry as they are asked for. */
export interface MirrorRule {
  /** Pattern of repositories, familiar or canonical: `HOST/shop/*`; `HOST/**` is all below. */
  readonly repositories: string;
  /** `HOST[:PORT][/PATH]`, where they come from; default the host of their names. PATH stands before theirs. */
  readonly upstream?: string | undefined;
  /**
   * A tag that stands for something else upstream: `follow` moves it here too (default), `flag` also
   * tells so, `refuse` keeps it and has the other by its digest.
   */
  readonly movedTags?: MovedTags | undefined;
  /** Patterns of tags that may move regardless of `movedTags`: `latest`, `nightly-*`. */
  readonly mayMove?: readonly string[] | undefined;
  /** Seconds for which a tag is not looked up again, at most a day; default 60. */
  readonly freshSeconds?: number | undefined;
  /** Tags of these repositories that are looked up by themselves, every `watchSeconds`. */
  readonly watch?: readonly string[] | undefined;
  /** From 0.01 to a day; default 300. */
  readonly watchSeconds?: number | undefined;
  /** Whether the upstream has no TLS; default only for a loopback address. */
  readonly plainHttp?: boolean | undefined;
  /** Whether its certificate is not verified. */
  readonly insecure?: boolean | undefined;
}

const ruleNames: OptionNames<MirrorRule> = {
  repositories: true,
  upstream: true,
  movedTags: true,
  mayMove: true,
  freshSeconds: true,
  watch: true,
  watchSeconds: true,
  plainHttp: true,
  insecure: true,
};

const FRESH_SECONDS = 60;
const WATCH_SECONDS = 300;
const MIN_WATCH_SECONDS = 0.01;
const DAY_SECONDS = 86_400;

/** A tag that is looked up by itself. */
interface WatchedTag {
  /** As the rule has it. */
  readonly name: string;
  /** Canonical. */
  readonly repository: string;
  readonly tag: string;
}

/** A rule, ready to be asked. */
export interface CompiledRule {
  readonly movedTags: MovedTags;
  readonly freshMs: number;
  readonly watch: readonly WatchedTag[];
  readonly watchMs: number;
  readonly plainHttp: boolean | undefined;
  readonly insecure: boolean | undefined;
  /** Whether the rule is for a repository, by its canonical name. */
  matches(repository: string): boolean;
  mayMove(tag: string): boolean;
  /** Where the repository is upstream. */
  upstreamOf(repository: string): { readonly host: string; readonly path: string };
}

/**
 * Checks a rule.
 * @throws {TypeError} naming what is wrong with it
 * @throws {StoreError} FILTER_INVALID for a malformed pattern
 */
export function compileRule(rule: MirrorRule): CompiledRule {
  mustBeOptions(rule, ruleNames);
  mustBeString('repositories', rule.repositories);
  const { movedTags = 'follow', mayMove = [], watch = [], upstream } = rule;
  if (!['follow', 'flag', 'refuse'].includes(movedTags)) {
    throw new TypeError(`movedTags must be follow, flag or refuse: ${movedTags}`);
  }
  const matchesName = repositoryMatcher(rule.repositories);
  const matches = (repository: string): boolean =>
    matchesName(repository) || matchesName(familiarReference(repository));
  const movable = mayMove.map(globMatcher);
  const [host, ...prefix] = upstream === undefined ? [undefined] : upstream.split('/');
  return {
    movedTags,
    watch: watch.map((name) => watchedTag(name, matches)),
    freshMs: millisecondsOf('freshSeconds', rule.freshSeconds ?? FRESH_SECONDS, 0),
    watchMs: millisecondsOf('watchSeconds', rule.watchSeconds ?? WATCH_SECONDS, MIN_WATCH_SECONDS),
    plainHttp: rule.plainHttp,
    insecure: rule.insecure,
    matches,
    mayMove: (tag) => movable.some((each) => each(tag)),
    upstreamOf: (repository) => {
      const { domain, path } = parseReference(repository);
      return { host: host ?? domain, path: [...prefix, path].join('/') };
    },
  };
}

function millisecondsOf(name: string, seconds: number, min: number): number {
  if (typeof seconds === 'number' && seconds >= min && seconds <= DAY_SECONDS) return seconds * 1_000;
  throw new TypeError(`${name} must be a number of seconds from ${min} to ${DAY_SECONDS}: ${seconds}`);
}

function watchedTag(name: string, matches: (repository: string) => boolean): WatchedTag {
  mustBeString('watch', name);
  const { domain, path, tag = 'latest', digest } = watchedReference(name);
  if (digest !== undefined) throw new TypeError(`watch must name tags, and a digest never moves: ${name}`);
  const repository = formatReference({ domain, path });
  if (!matches(repository)) throw new TypeError(`watch must name tags of the repositories of its rule: ${name}`);
  return { name, repository, tag };
}

function watchedReference(name: string): Reference {
  try {
    return parseReference(name);
  } catch (error) {
    if (error instanceof StoreError) throw new TypeError(`watch must name tags: ${error.message}`);
    throw error;
  }
}
