import test from 'ava';
import { MAX_KEPT_REPOSITORIES, MAX_SEARCHED_REPOSITORIES } from '../../src/limits.js';
import { archivePath } from '../store/fixture-archives.js';
import { openTestStore } from '../support/test-store.js';

test('repositories beyond MAX_KEPT_REPOSITORIES have what they had; MAX_SEARCHED_REPOSITORIES are searched', async (t) => {
  const store = await openTestStore(t, { onNotice: () => undefined });
  await store.load(archivePath('skopeo-tiny-1.tar'));
  const { registry } = store;
  const image = store.resolve('tiny:1');
  const repositories = Array.from({ length: MAX_KEPT_REPOSITORIES + 1 }, (_, count) => `docker.io/many/r${count}`);
  await Promise.all(repositories.map((repository) => store.tag({ source: image, target: `${repository}:1` })));
  const has = (repository: string): boolean => registry.blob(repository, image) !== undefined;
  t.true(repositories.every(has));
  // The first was forgotten when the last was read.
  await registry.remove('docker.io/many/r1', '1');
  t.deepEqual(
    repositories.filter((repository) => !has(repository)),
    ['docker.io/many/r1'],
  );
  t.is(registry.repositoriesWith(image).length, MAX_SEARCHED_REPOSITORIES);
});
