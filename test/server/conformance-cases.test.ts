import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { type CaseResult, conformanceCases, runCases } from './conformance/conformance-cases.js';
import { RegistryClient } from './conformance/registry-client.js';

/** Runs every case against a server that answers each request with one status, and an empty body. */
async function resultsOf(t: ExecutionContext, status: number): Promise<readonly CaseResult[]> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(status, { location: '/somewhere', 'content-type': 'application/json' }).end();
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  using client = new RegistryClient(`http://127.0.0.1:${port}`);
  return runCases(client, conformanceCases({ repository: 'one', other: 'two', sha512: 'accepted' }));
}

test('no conformance case passes with each of three registries that always say the same', async (t) => {
  const passed = async (status: number): Promise<readonly boolean[]> =>
    (await resultsOf(t, status)).map(({ outcome }) => outcome === 'passed');
  const [missing, found, refused] = [await passed(404), await passed(200), await passed(400)];
  const cases = conformanceCases({ repository: 'one', other: 'two', sha512: 'accepted' });
  const vacuous = cases.filter((_, at) => missing[at] && found[at] && refused[at]);
  t.deepEqual(
    vacuous.map(({ group, name }) => `${group}: ${name}`),
    [],
  );
});
