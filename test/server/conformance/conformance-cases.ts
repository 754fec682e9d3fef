import { blobCases } from './blob-cases.js';
import type { Case, CaseOptions } from './case.js';
import { dataSets } from './data-sets.js';
import { Unmet, Unsupported } from './demands.js';
import { errorCases } from './error-cases.js';
import { lifeCases } from './life-cases.js';
import { rangeCases } from './range-cases.js';
import { emptyReferrersCases } from './referrers-cases.js';
import type { RegistryClient } from './registry-client.js';
import { sessionCases } from './session-cases.js';
import { refusedSha512Cases } from './sha512-cases.js';
import { tagCases } from './tag-cases.js';

/**
 * What the OCI distribution specification (main, July 2026) requires of a registry: all that its
 * conformance program asks, and what its text says beside that. Content is new in each call.
 */
export function conformanceCases(options: CaseOptions): readonly Case[] {
  const algorithms = options.sha512 === 'accepted' ? (['sha256', 'sha512'] as const) : (['sha256'] as const);
  return [
    ...emptyReferrersCases(options),
    ...algorithms.flatMap((algorithm) => [...blobCases(options, algorithm), ...rangeCases(options, algorithm)]),
    ...sessionCases(options),
    ...dataSets(options.sha512).flatMap((set) => lifeCases(options, set)),
    ...tagCases(options),
    ...errorCases(options),
    ...(options.sha512 === 'refused' ? refusedSha512Cases(options) : []),
  ];
}

/** How a case ended. */
export interface CaseResult {
  readonly case: Case;
  readonly outcome: 'passed' | 'failed' | 'unsupported';
  /** Empty when it passed. */
  readonly reason: string;
}

/** Runs cases in order; one that fails does not stop the others. */
export async function runCases(client: RegistryClient, cases: readonly Case[]): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for (const one of cases) results.push(await resultOf(client, one));
  return results;
}

async function resultOf(client: RegistryClient, one: Case): Promise<CaseResult> {
  try {
    await one.run(client);
    return { case: one, outcome: 'passed', reason: '' };
  } catch (error) {
    if (error instanceof Unsupported) return { case: one, outcome: 'unsupported', reason: error.message };
    const reason = error instanceof Unmet ? error.message : `${error}`;
    return { case: one, outcome: 'failed', reason };
  }
}

/** Returns one line on a result. */
export function describeResult({ case: { group, name, section, origin }, outcome, reason }: CaseResult): string {
  return `${outcome}: ${group}: ${name} (${section}; ${origin})${reason === '' ? '' : `: ${reason.trim()}`}`;
}
