import { type Case, type CaseOptions, Group } from './case.js';
import { blobOf, configPart, type Manifest, MEDIA, manifestOf, partOf, randomBlob } from './content.js';
import { demand, demandError, demandStatus } from './demands.js';
import { ACCEPT, deleteManifest, manifestPath } from './manifest-requests.js';
import type { Answer, RegistryClient } from './registry-client.js';
import { blobPath, uploadByPut, uploadsPath } from './uploads.js';

/** Requests that a registry must not grant. */
export function errorCases(options: CaseOptions): readonly Case[] {
  const group = new Group('refusals');
  group.add('Determining Support', 'GET /v2/: 200', async (client) => demandStatus(await client.ask('/v2/'), 200));
  addMissing(group, options);
  addDigests(group, options);
  addManifests(group, options);
  addNames(group);
  return group.cases;
}

function addMissing(group: Group, { repository, other }: CaseOptions): void {
  const { digest } = randomBlob(32);
  const unknown = `${other}/unknown`;
  const manifestCodes = ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'];
  const gets: readonly (readonly [name: string, path: string, codes: readonly string[]])[] = [
    ['a missing manifest by digest', manifestPath(repository, digest), ['MANIFEST_UNKNOWN']],
    ['a missing tag', manifestPath(repository, `missing-${digest.slice(-20)}`), ['MANIFEST_UNKNOWN']],
    ['a missing blob', blobPath(repository, digest), ['BLOB_UNKNOWN']],
    ['a manifest in an unknown repository', manifestPath(unknown, 'latest'), manifestCodes],
    ['a blob in an unknown repository', blobPath(unknown, digest), ['BLOB_UNKNOWN', 'NAME_UNKNOWN']],
  ];
  for (const [name, path, codes] of gets) {
    group.add('Pulling manifests', `GET of ${name}: 404`, async (client) => {
      demandStatus(await client.ask(path, { headers: ACCEPT }), 404);
    });
    group.addFromText('Error Codes', `GET of ${name}: ${codes.join(' or ')}`, async (client) =>
      demandError(await client.ask(path, { headers: ACCEPT }), ...codes),
    );
    group.addFromText('Checking if content exists in the registry', `HEAD of ${name}: 404, no body`, async (client) => {
      const answer = await client.ask(path, { method: 'HEAD', headers: ACCEPT });
      demandStatus(answer, 404);
      demand(answer.body.length === 0, `${answer.asked}: a body`);
    });
    const needs = path.includes('/blobs/') ? (['blob-delete'] as const) : (['manifest-delete'] as const);
    group.addFromText(
      'Content Management',
      `DELETE of ${name}: 404`,
      async (client) => demandStatus(await client.ask(path, { method: 'DELETE' }), 404),
      path.includes('sha256') ? needs : ['tag-delete'],
    );
  }
}

/** A new artifact and its config, which is pushed before it. */
function ownArtifact(): { readonly config: ReturnType<typeof blobOf>; readonly manifest: Manifest } {
  const config = partOf(randomBlob(40).bytes, MEDIA.note);
  return {
    config: { digest: config.descriptor.digest, bytes: config.blob?.bytes ?? new Uint8Array() },
    manifest: manifestOf(config, [], {}),
  };
}

function put(client: RegistryClient, path: string, bytes: Uint8Array, type: string = MEDIA.manifest): Promise<Answer> {
  return client.ask(path, { method: 'PUT', headers: { 'content-type': type }, body: bytes });
}

function addDigests(group: Group, { repository }: CaseOptions): void {
  const { config, manifest } = ownArtifact();
  const section = 'Pushing Manifests';
  group.add('Pushing blobs', 'the config of a manifest is pushed', (client) =>
    uploadByPut({ client, repository }, config),
  );
  const longer = Buffer.concat([manifest.bytes, Buffer.from('  ')]);
  group.add(section, 'PUT of a manifest whose bytes are not of the digest: 400', async (client) =>
    demandStatus(await put(client, manifestPath(repository, manifest.digest), longer), 400),
  );
  group.addFromText(
    'Error Codes',
    'PUT of a manifest whose bytes are not of the digest: DIGEST_INVALID',
    async (client) =>
      demandError(await put(client, manifestPath(repository, manifest.digest), longer), 'DIGEST_INVALID'),
  );
  group.addFromText(section, 'what was refused is not there, by either digest', async (client) => {
    for (const { digest } of [manifest, blobOf(longer)]) {
      demandStatus(await client.ask(manifestPath(repository, digest), { headers: ACCEPT }), 404);
    }
  });
  const bad = manifestPath(repository, 'sha256:not-a-digest');
  group.add(section, 'PUT to a digest of no form: 400', async (client) =>
    demandStatus(await put(client, bad, manifest.bytes), 400),
  );
  group.add('Pulling manifests', 'GET of a digest of no form: 404 or 400', async (client) =>
    demandStatus(await client.ask(bad, { headers: ACCEPT }), 404, 400),
  );
  group.add(
    'Deleting Manifests',
    'DELETE of a manifest that was refused: 404',
    (client) => deleteManifest({ client, repository }, manifest.digest),
    ['manifest-delete'],
  );
}

function addManifests(group: Group, { repository }: CaseOptions): void {
  const path = manifestPath(repository, 'refused');
  const refused: readonly (readonly [name: string, text: string, code: string])[] = [
    ['no JSON', 'this is no manifest', 'MANIFEST_INVALID'],
    ['an empty body', '', 'MANIFEST_INVALID'],
    ['a list', '[]', 'MANIFEST_INVALID'],
    [
      'a manifest without config',
      `{"schemaVersion":2,"mediaType":"${MEDIA.manifest}","layers":[]}`,
      'MANIFEST_INVALID',
    ],
  ];
  for (const [name, text, code] of refused) {
    group.addFromText('Error Codes', `PUT of ${name} as a manifest: 400 ${code}`, async (client) => {
      const answer = await put(client, path, Buffer.from(text));
      demandStatus(answer, 400);
      demandError(answer, code);
    });
  }
  const lacking = manifestOf(configPart([], {}), [partOf(randomBlob(30).bytes, MEDIA.gzip)]);
  group.addFromText(
    'Push',
    'PUT of a manifest whose blobs are missing: 201, or MANIFEST_BLOB_UNKNOWN',
    async (client) => {
      const answer = await put(client, path, lacking.bytes);
      demandStatus(answer, 201, 400, 404);
      if (answer.status === 201) await deleteManifest({ client, repository }, lacking.digest);
      else demandError(answer, 'MANIFEST_BLOB_UNKNOWN');
    },
  );
  group.addFromText('Pulling manifests', 'a refused manifest leaves no tag', async (client) => {
    const answer = await client.ask(path, { headers: ACCEPT });
    demandStatus(answer, 404);
  });
}

const NAMES = [
  'UPPER/case',
  'under_/score',
  '-dash',
  'dot./dot',
  `a${'/a'.repeat(200)}//b`,
  'two//slashes',
  'sp%20ace',
];
const TAGS = ['.dot', '-dash', 'a'.repeat(129), 'semi;colon', 'sp%20ace', 'sl%2fash'];

function addNames(group: Group): void {
  for (const name of NAMES) {
    group.addFromText('Pulling manifests', `repository ${name.slice(0, 20)}: nothing there`, async (client) => {
      demandStatus(await client.ask(manifestPath(name, 'latest'), { headers: ACCEPT }), 404, 400, 301);
      demandStatus(await client.ask(uploadsPath(name), { method: 'POST' }), 404, 400, 301);
      demandStatus(await client.ask(`/v2/${name}/tags/list`), 404, 400, 301);
    });
  }
  for (const tag of TAGS) {
    group.addFromText('Pulling manifests', `tag ${tag.slice(0, 20)}: 404 or 400 for each request`, async (client) => {
      const { manifest } = ownArtifact();
      const path = manifestPath('conformance/tags', tag);
      demandStatus(await client.ask(path, { headers: ACCEPT }), 404, 400);
      demandStatus(await put(client, path, manifest.bytes), 404, 400);
    });
  }
  for (const path of ['/v2/../../etc/passwd', '/v2/a/../b/manifests/latest', '/v2/%2e%2e/%2e%2e/manifests/latest']) {
    group.addFromText('Endpoints', `GET ${path}: nothing there`, async (client) =>
      demandStatus(await client.ask(path), 301, 400, 404),
    );
  }
}
