import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { JWKS_COOLDOWN_MS } from '../../src/limits.js';
import { archivePath } from '../store/fixture-archives.js';
import { isInstalled, testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { freePort } from './docker-registry.js';
import { type ListeningProgram, serveCommand, startListening } from './listening-program.js';
import { runProgram, skopeo, whyItFails } from './run-program.js';

/* Tokens of an issuer that is not ours: oidc-provider, installed here. */

const ISSUER_PACKAGE = 'oidc-provider@9.13.3';

/** Gives tokens by client credentials: to `ci` for five minutes, to `brief` for a second. */
const ISSUER = `
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
const [port, kid] = process.argv.slice(2);
const issuer = 'http://127.0.0.1:' + port;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const client = (client_id) => ({
  client_id, client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
});
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] },
  clients: [client('ci'), client('brief')],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, { clientId }) => ({
        scope: 'push', audience: resource.replace('urn:', ''), accessTokenFormat: 'jwt',
        accessTokenTTL: clientId === 'brief' ? 1 : 300,
      }),
    },
  },
  extraTokenClaims: () => ({ repository: 'shop/app', ref: 'refs/heads/main' }),
});
createServer(provider.callback()).listen(port, '127.0.0.1', () => console.log('issuer at 127.0.0.1:' + port));
`;

const folder = mkdtempSync(join(tmpdir(), 'imagelog-issuer-'));
const absent = ['npm', 'skopeo', 'curl', 'timeout'].filter((program) => !isInstalled(program));
const reason = absent.length > 0 ? `${absent.join(' and ')} not installed` : await installFailure();
const withIssuer = testOrSkip(reason);

test.after.always('remove the issuer', () => rm(folder, { recursive: true, force: true }));

async function installFailure(): Promise<string | undefined> {
  const options = ['--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const failure = await whyItFails(() => runProgram('npm', 'install', ...options, ISSUER_PACKAGE));
  await writeFile(join(folder, 'issuer.mjs'), ISSUER);
  return failure && `${ISSUER_PACKAGE} cannot be installed: ${failure}`;
}

/** Starts the issuer with a new key. */
async function startIssuer(t: ExecutionContext, port: number, kid: string): Promise<ListeningProgram> {
  const args = [join(folder, 'issuer.mjs'), `${port}`, kid];
  const issuer = await startListening(process.execPath, args, /issuer at (127\.0\.0\.1:\d+)/);
  t.teardown(() => issuer.stop());
  return issuer;
}

interface Discovered {
  readonly jwks_uri: string;
  readonly token_endpoint: string;
}

async function discovered(issuer: string): Promise<Discovered> {
  return (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Discovered;
}

/** A token by the endpoint that the issuer's discovery names. */
async function tokenOf(issuer: string, client = 'ci', audience = 'imagelog'): Promise<string> {
  const { token_endpoint: endpoint } = await discovered(issuer);
  const body = new URLSearchParams({ grant_type: 'client_credentials', resource: `urn:${audience}` });
  const authorization = `Basic ${Buffer.from(`${client}:secret`).toString('base64')}`;
  const answer = await fetch(endpoint, { method: 'POST', headers: { authorization }, body });
  return ((await answer.json()) as { readonly access_token: string }).access_token;
}

interface TrustingServer {
  /** What curl is answered when it lists tags. */
  status(token: string): Promise<string>;
  /** Why skopeo cannot push; undefined if it can. */
  push(token: string, name?: string): Promise<string | undefined>;
  lastActor(): Promise<unknown>;
}

/** Serves to jobs of `shop/*` that show a token of the issuer. */
async function trusting(t: ExecutionContext, issuer: string, keys: string): Promise<TrustingServer> {
  const access = join(await temporaryDirectory(t), 'access.json');
  const claims = { repository: 'shop/*', ref: 'refs/heads/main' };
  const trusted = { issuer, audience: 'imagelog', keys: { url: keys }, actor: 'ci:{repository}' };
  const rules = [{ who: { claims }, may: ['read', 'push'], repositories: ['shop/*'] }];
  await writeFile(access, JSON.stringify({ tokens: [{ ...trusted, clockToleranceSeconds: 0 }], rules }));
  const { host, imagelog } = await serveCommand(t, '--access', access);
  return {
    status: (token) => {
      const quiet = ['--silent', '--output', '/dev/null', '--write-out', '%{http_code}'];
      const header = ['--header', `Authorization: Bearer ${token}`];
      return runProgram('curl', ...quiet, ...header, `http://${host}/v2/shop/app/tags/list`);
    },
    push: (token, name = 'shop/app') => {
      const to = ['--dest-tls-verify=false', '--dest-registry-token', token];
      const archive = `docker-archive:${archivePath('skopeo-tiny-1.tar')}`;
      return whyItFails(() => skopeo('copy', '--quiet', ...to, archive, `docker://${host}/${name}:1`));
    },
    lastActor: async () => {
      const line = (await imagelog('log')).trim().split('\n').at(-1) ?? '';
      return (JSON.parse(line) as { readonly actor: unknown }).actor;
    },
  };
}

withIssuer('tokens of an issuer push; not those of another audience, repository, key or time', async (t) => {
  t.timeout(JWKS_COOLDOWN_MS + 120_000);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const first = await startIssuer(t, port, 'one');
  const { jwks_uri: keys } = await discovered(url);
  const { status, push, lastActor } = await trusting(t, url, keys);
  const old = await tokenOf(url);
  await first.stop();
  t.is(await status(old), '503', 'the issuer is down, and its keys were never read');

  const second = await startIssuer(t, port, 'two');
  t.is(await status(old), '401', 'of a key that the issuer no longer has');
  const asked = Date.now();
  const token = await tokenOf(url);
  t.is(await push(token), undefined);
  t.is(await lastActor(), 'ci:shop/app');
  t.truthy(await push(token, 'vendor/app'));
  t.is(await status(await tokenOf(url, 'ci', 'other')), '401', 'of another audience');
  const brief = await tokenOf(url, 'brief');
  await sleep(2_100);
  t.is(await status(brief), '401', 'expired');

  await second.stop();
  t.is(await status(token), '200', 'the issuer is down, and its keys are known');
  const third = await startIssuer(t, port, 'three');
  const rotated = await tokenOf(url);
  await sleep(Math.max(0, asked + JWKS_COOLDOWN_MS - Date.now()));
  t.is(await status(rotated), '200', 'of a new key');
  t.is(await status(token), '401');
  await third.stop();
  t.is(await push(rotated), undefined);
});
