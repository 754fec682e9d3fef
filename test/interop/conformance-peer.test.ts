import { requires } from '../support/requires.js';
import type { Case } from '../server/conformance/case.js';
import {
  type CaseResult,
  conformanceCases,
  describeResult,
  runCases,
} from '../server/conformance/conformance-cases.js';
import { RegistryClient } from '../server/conformance/registry-client.js';
import { startDockerRegistry } from './docker-registry.js';

const withDockerRegistry = requires('docker-registry');

/**
 * Where docker-registry 2.8 departs from the specification, as the official conformance program found
 * too: each case that has such a name ends so, and every other passes.
 */
const DEPARTURES: readonly (readonly [outcome: 'failed' | 'unsupported', name: RegExp])[] = [
  ['unsupported', /^(push|push the blob .*) by one POST/],
  ['unsupported', /^mount from any repository$/],
  ['unsupported', /^DELETE of tag /],
  ['unsupported', /^PUT by digest with \d+ tags/],
  ['failed', /^(push by|HEAD after|GET after) chunks that are refused out of order first/],
  ['failed', /referrers|^those of artifact type/],
  ['failed', /^GET of bytes (500-0|5000-10000)/],
  ['failed', /^after a tag, the later ones are listed$/],
  ['failed', /^PUT .*, with a subject/],
  ['failed', /^(PUT to|GET of) a digest of no form/],
];

/** Its configuration has no URLs from which layers may come. */
const FOREIGN = 'layers that are not pushed';
const FOREIGN_FAILURES = /^(PUT|HEAD of (a manifest|tag)|GET of (a manifest|tag)|its tags)/;

function expectedOutcome({ name, group }: Case): CaseResult['outcome'] {
  const departure = DEPARTURES.find(([, pattern]) => pattern.test(name));
  if (departure !== undefined) return departure[0];
  return group === FOREIGN && FOREIGN_FAILURES.test(name) ? 'failed' : 'passed';
}

withDockerRegistry('the conformance cases find of docker-registry what the official program finds', async (t) => {
  using client = new RegistryClient(`http://${await startDockerRegistry(t)}`);
  const cases = conformanceCases({ repository: 'conformance/one', other: 'conformance/two', sha512: 'accepted' });
  const asked = cases.filter(({ origin }) => origin === 'program');
  const results = await runCases(client, asked);
  for (const result of results) {
    if (result.case.needs.includes('sha512')) continue;
    t.is(result.outcome, expectedOutcome(result.case), describeResult(result));
  }
  const ofSha512 = results.filter(({ case: { needs } }) => needs.includes('sha512'));
  for (const result of ofSha512.filter(({ case: { name } }) => /^(push by|PUT by digest)(?!.*not of)/.test(name))) {
    t.not(result.outcome, 'passed', describeResult(result));
  }
  t.true(results.length > 600);
});
