import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createChainId } from '../../src/model/rootfs.js';
import type { ChainId } from '../../src/model/digest.js';
import { readTar } from '../../src/archive/tar-reader.js';
import { requires } from '../support/requires.js';
import { collect } from '../support/build-tar.js';
import { imageEntries } from '../support/image-entries.js';
import { runProgram } from './run-program.js';
import { extracted, nameInLayout, savedFile, savedName } from './saved-archive.js';

const withUmoci = requires('umoci', 'tar');

withUmoci('umoci lists the names of a layout that we saved', async (t) => {
  const saved = await savedFile(t, 'docker25-all.tar', 'oci');
  const layout = await extracted(saved.path);
  const names = (await runProgram('umoci', 'list', '--layout', layout)).trim().split('\n').sort();
  t.deepEqual(
    names,
    saved.store
      .referenceEntries()
      .map(({ reference }) => nameInLayout(reference))
      .sort(),
  );
});

withUmoci('umoci tells the build steps of each image', async (t) => {
  const saved = await savedFile(t, 'docker25-all.tar', 'oci');
  for (const { reference, image } of imageEntries(saved.store)) {
    const source = `${await extracted(await savedName(saved, reference))}:${nameInLayout(reference)}`;
    const { history } = JSON.parse(await runProgram('umoci', 'stat', '--json', '--image', source)) as {
      history: { created_by: string }[];
    };
    t.deepEqual(
      history.map((step) => step.created_by),
      saved.store.get(image).history.map(({ createdBy }) => createdBy),
    );
  }
});

withUmoci('umoci unpacks an image, and its files are those of the layers', async (t) => {
  const saved = await savedFile(t, 'oci-all.tar', 'oci');
  const layout = await extracted(await savedName(saved, 'tiny:1'));
  const bundle = join(saved.directory, 'bundle');
  await runProgram('umoci', 'unpack', '--rootless', '--image', `${layout}:1`, bundle);
  const { diffIds } = saved.store.get(saved.store.resolve('tiny:1')).rootFS;
  const layer = saved.store.layers.get(createChainId(diffIds) as ChainId);
  let files = 0;
  for await (const { name, type, body } of readTar(layer.tarStream())) {
    if (type !== 'file') continue;
    t.deepEqual(await collect(body), await readFile(join(bundle, 'rootfs', name)));
    files += 1;
  }
  await saved.store.layers.release(layer);
  t.true(files > 0);
});

withUmoci('umoci unpacks every image of one platform: diff ids and blobs are as the documents say', async (t) => {
  for (const fixture of ['docker25-all.tar', 'docker20-all.tar', 'crane-app.tar']) {
    const saved = await savedFile(t, fixture, 'oci');
    for (const { reference, image } of imageEntries(saved.store)) {
      const layout = await extracted(await savedName(saved, reference));
      const bundle = join(saved.directory, `bundle-${reference.replaceAll(/\W/g, '-')}`);
      await runProgram('umoci', 'unpack', '--rootless', '--image', `${layout}:${nameInLayout(reference)}`, bundle);
      const config = await readFile(join(bundle, 'config.json'), 'utf8');
      t.true(config.includes('"ociVersion"'), image);
    }
  }
});
