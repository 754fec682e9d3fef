import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { type CaseResult, conformanceCases, runCases } from './conformance/conformance-cases.js';
import type { CaseOptions } from './conformance/case.js';
import { RegistryClient } from './conformance/registry-client.js';

type Sha512 = CaseOptions['sha512'];

/** Runs every case against a server that answers each request with one status, and an empty body. */
async function resultsOf(t: ExecutionContext, status: number, sha512: Sha512): Promise<readonly CaseResult[]> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(status, { location: '/somewhere', 'content-type': 'application/json' }).end();
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  using client = new RegistryClient(`http://127.0.0.1:${port}`);
  return runCases(client, conformanceCases({ repository: 'one', other: 'two', sha512 }));
}

for (const sha512 of ['accepted', 'refused'] as const) {
  test(`no conformance case passes with registries that always say the same, sha512 ${sha512}`, async (t) => {
    const runs = [
      await resultsOf(t, 404, sha512),
      await resultsOf(t, 200, sha512),
      await resultsOf(t, 400, sha512),
    ] as const;
    const vacuous = runs[0].filter((_, at) => runs.every((results) => results[at]?.outcome === 'passed'));
    t.deepEqual(
      vacuous.map(({ case: { group, name } }) => `${group}: ${name}`),
      [],
    );
  });
}
