import test from 'ava';
import fc from 'fast-check';
import { RawJson, rawJsonText } from '../../src/cli/render/raw-json.js';
import { jsonText } from '../../src/cli/render/text.js';
import { buildTar } from '../support/build-tar.js';
import { archive, startSession } from './session.js';

test('white space in raw JSON does not change its layout', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), fc.constantFrom(undefined, 1, '\t'), (value, indent, space) => {
      const text = JSON.stringify(value, undefined, space).replaceAll('\n', '\r\n ');
      t.is(rawJsonText(new RawJson(text), indent), jsonText(JSON.parse(text), indent));
      t.is(
        rawJsonText({ a: [new RawJson(text)], b: undefined, c: value }, indent),
        jsonText({ a: [value], c: value }, indent),
      );
    }),
    { numRuns: 300 },
  );
});

test('numbers, repeated keys and escapes stay as they are, and what a terminal obeys is escaped', (t) => {
  const text = '{ "n": [9007199254740993, -0, 1.0, 1e400],\n"n":{}, "s":"\\u0041\\/\u200b" }';
  const shown = '{"n":[9007199254740993,-0,1.0,1e400],"n":{},"s":"\\u0041\\/\\u200b"}';
  t.is(rawJsonText(new RawJson(text)), shown);
  t.is(rawJsonText([new RawJson('[ ]'), new RawJson('9223372036854775807')], 2), '[\n  [],\n  9223372036854775807\n]');
});

test('inspect prints the numbers of a config as they are in it', async (t) => {
  const { runIn, done } = await startSession(t);
  const config =
    `{"architecture":"amd64","os":"linux","Size":9223372036854775807,"x":[9007199254740993, 1.10],` +
    `"config":{"Healthcheck":{"Interval":9007199254740993}},"rootfs":{"type":"layers","diff_ids":[]}}`;
  const tar = await buildTar([
    { name: 'c.json', body: config },
    { name: 'manifest.json', body: JSON.stringify([{ Config: 'c.json', RepoTags: ['big:1'], Layers: [] }]) },
  ]);
  t.is((await runIn({ stdin: tar }, 'load')).code, 0);
  const line = await done('inspect', '--json', 'big:1');
  t.true(line.includes(`"config":${config.replace(', 1.10', ',1.10')}}\n`), line);
  const indented = await done('inspect', 'big:1');
  for (const each of ['"Size": 9223372036854775807,', '"Interval": 9007199254740993\n', '  1.10\n']) {
    t.true(indented.includes(each), indented);
  }
  await done('load', archive('docker25-all.tar'));
  t.is(await done('inspect', 'tiny:1'), `${jsonText(JSON.parse(await done('inspect', 'tiny:1')), 2)}\n`);
});
