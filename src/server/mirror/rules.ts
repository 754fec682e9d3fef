import type { OptionNames } from '../../model/option-names.js';
import { familiarReference, parseReference } from '../../model/reference.js';
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
  /** Seconds for which a tag is not looked up again; default 60. */
  readonly freshSeconds?: number | undefined;
  /** References that are looked up by themselves, every `watchSeconds`. */
  readonly watch?: readonly string[] | undefined;
  /** Default 300. */
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

/** A rule, ready to be asked. */
export interface CompiledRule {
  readonly movedTags: MovedTags;
  readonly freshMs: number;
  readonly watch: readonly string[];
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
  const matches = repositoryMatcher(rule.repositories);
  const movable = mayMove.map(globMatcher);
  const [host, ...prefix] = upstream === undefined ? [undefined] : upstream.split('/');
  return {
    movedTags,
    watch,
    freshMs: secondsOf('freshSeconds', rule.freshSeconds ?? FRESH_SECONDS),
    watchMs: secondsOf('watchSeconds', rule.watchSeconds ?? WATCH_SECONDS),
    plainHttp: rule.plainHttp,
    insecure: rule.insecure,
    matches: (repository) => matches(repository) || matches(familiarReference(repository)),
    mayMove: (tag) => movable.some((each) => each(tag)),
    upstreamOf: (repository) => {
      const { domain, path } = parseReference(repository);
      return { host: host ?? domain, path: [...prefix, path].join('/') };
    },
  };
}

function secondsOf(name: string, seconds: number): number {
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1_000;
  throw new TypeError(`${name} must be a number of seconds: ${seconds}`);
}
