import { readFile, writeFile } from 'node:fs/promises';
import type { ExecutionContext } from 'ava';
import { join } from 'node:path';
import { familiarReference } from '../../src/model/reference.js';
import { createChainId } from '../../src/model/rootfs.js';
import type { ChainId } from '../../src/model/digest.js';
import { readTar } from '../../src/archive/tar-reader.js';
import { requires } from '../support/requires.js';
import { collect } from '../support/build-tar.js';
import { imageEntries } from '../support/image-entries.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { FORMATS, loaded, newArchive, NEW_ARCHIVES, saved } from './round-trip.js';
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

const readsNew = async (t: ExecutionContext, archive: string): Promise<void> => {
  const store = await loaded(t, newArchive(archive));
  for (const { reference, image, platforms } of imageEntries(store)) {
    for (const format of FORMATS) {
      const layout = await extracted(await saved(t, store, format, [reference]));
      t.is((await runProgram('umoci', 'list', '--layout', layout)).trim(), nameInLayout(reference));
      // Of an index of several manifests, as an image and its attestation, umoci takes none.
      if (platforms !== undefined) continue;
      const stat = await runProgram('umoci', 'stat', '--json', '--image', `${layout}:${nameInLayout(reference)}`);
      const { history } = JSON.parse(stat) as { history: { created_by?: string }[] };
      t.deepEqual(
        history.map(({ created_by = '' }) => created_by),
        store.get(image).history.map(({ createdBy }) => createdBy),
      );
    }
  }
};

for (const archive of NEW_ARCHIVES) withUmoci(`umoci reads ${archive} as we save it`, readsNew, archive);

withUmoci('umoci gets back the tags and the image that it made', async (t) => {
  const folder = await temporaryDirectory(t);
  const [layout, file] = [join(folder, 'layout'), join(folder, 'file')];
  await writeFile(file, 'inserted');
  await runProgram('umoci', 'init', '--layout', layout);
  await runProgram('umoci', 'new', '--image', `${layout}:v1`);
  await runProgram('umoci', 'insert', '--rootless', '--image', `${layout}:v1`, file, '/file');
  await runProgram('umoci', 'config', '--image', `${layout}:v1`, '--config.cmd', '/file', '--config.label', 'k=v');
  await runProgram('umoci', 'tag', '--image', `${layout}:v1`, 'v2');
  const statOf = (where: string, tag: string): Promise<string> =>
    runProgram('umoci', 'stat', '--json', '--image', `${where}:${tag}`);
  const store = await loaded(t, layout);
  t.deepEqual(
    store.referenceEntries().map(({ reference }) => familiarReference(reference)),
    ['bare:v1', 'bare:v2'],
  );
  for (const format of FORMATS) {
    const back = await extracted(await saved(t, store, format));
    for (const tag of ['v1', 'v2']) t.is(await statOf(back, tag), await statOf(layout, tag));
  }
});
