import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { type RegistryOptions, RegistrySession } from '../../src/registry-client/registry-session.js';
import { FakeRegistry, fakeRegistry } from '../support/fake-registry.js';
import { addImage } from '../support/registry-images.js';
import { rejection } from '../support/rejection.js';
import { requires } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const withOpenssl = requires('openssl');

function originOf(host: string, options: RegistryOptions = {}): string {
  const session = new RegistrySession(host, { certificateFolders: [], ...options });
  session.close();
  return session.origin;
}

test('only a loopback address is reached without TLS, unless plain HTTP is asked for', (t) => {
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1:5000', '127.1.2.3', '[::1]:5000']) {
    t.is(originOf(host), `http://${host}`);
    t.is(originOf(host, { insecure: true }), `https://${host}`);
  }
  for (const host of [
    'registry.example.com',
    'localhost.example.com:5000',
    '128.0.0.1:5000',
    '127.0.0.1.example.com',
  ]) {
    t.is(originOf(host), `https://${host}`);
    t.is(originOf(host, { plainHttp: true }), `http://${host}`);
  }
});

interface Secure {
  readonly registry: FakeRegistry;
  /** The certificate, which signs itself. */
  readonly cert: string;
  readonly folder: string;
}

/** A registry over TLS that no authority vouches for. */
async function secureRegistry(t: ExecutionContext): Promise<Secure> {
  const folder = await temporaryDirectory(t);
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile];
  const name = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, ...name], { stdio: 'ignore' });
  const cert = await readFile(certFile, 'utf8');
  const registry = await new FakeRegistry({ key: await readFile(keyFile, 'utf8'), cert }).start(t);
  await addImage(registry, 'shop/app:1', ['one']);
  return { registry, cert, folder };
}

function clientOf(t: ExecutionContext, { host }: FakeRegistry, options: RegistryOptions): RegistryClient {
  const session = new RegistrySession(host, { certificateFolders: [], wait: async () => undefined, ...options });
  t.teardown(() => session.close());
  return new RegistryClient(session, 'shop/app');
}

withOpenssl(
  'a certificate is verified, unless that is not wanted or its authority is in the folder of the host',
  async (t) => {
    const { registry, cert, folder } = await secureRegistry(t);
    const unknown = await rejection(
      t,
      'REGISTRY_UNAVAILABLE',
      clientOf(t, registry, { plainHttp: false }).manifest('1'),
    );
    t.regex(String(unknown.data['hint']), /NODE_EXTRA_CA_CERTS/);
    await t.notThrowsAsync(clientOf(t, registry, { insecure: true }).manifest('1'));
    await mkdir(join(folder, 'certs.d', registry.host), { recursive: true });
    await writeFile(join(folder, 'certs.d', registry.host, 'ca.crt'), cert);
    const certificateFolders = [join(folder, 'absent'), join(folder, 'certs.d')];
    await t.notThrowsAsync(clientOf(t, registry, { certificateFolders }).manifest('1'));
  },
);

withOpenssl('over TLS no redirect and no token leads to plain HTTP', async (t) => {
  const { registry } = await secureRegistry(t);
  const plain = await fakeRegistry(t);
  const client = clientOf(t, registry, { insecure: true });
  registry.intercept = ({ url = '' }, response) => {
    response.writeHead(307, { location: `http://${plain.host}${url}` }).end();
    return true;
  };
  t.regex((await rejection(t, 'REGISTRY_INVALID', client.manifest('1'))).message, /from TLS to plain HTTP/);
  registry.intercept = (_, response) => {
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${plain.host}/token"` }).end();
    return true;
  };
  t.regex((await rejection(t, 'REGISTRY_DENIED', client.manifest('1'))).message, /over plain HTTP no credentials/);
  t.deepEqual(plain.seen, []);
});

test('a registry that speaks HTTP where TLS is expected is told with a hint', async (t) => {
  const registry = await fakeRegistry(t);
  const error = await rejection(t, 'REGISTRY_UNAVAILABLE', clientOf(t, registry, { insecure: true }).manifest('1'));
  t.regex(String(error.data['hint']), /--plain-http/);
});
