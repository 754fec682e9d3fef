import test from 'ava';
import { type ContainerConfig, containerConfigCodec, newContainerConfig } from '../../src/model/container-config.js';
import { decodeJson } from '../../src/model/go-json/codecs.js';
import { JsonError } from '../../src/model/go-json/parse.js';
import { bytesOf } from '../support/text-bytes.js';

const reads = test.macro({
  exec(t, json: string, expected: Partial<ContainerConfig>) {
    t.deepEqual(decodeJson(bytesOf(json), containerConfigCodec), newContainerConfig(expected));
  },
  title: (_, json: string) => `${json} is read as Docker reads it`,
});

test(reads, '{}', {});
test(reads, 'null', {});
test(reads, '{"Cmd":["a","b"]}', { cmd: ['a', 'b'] });
test(reads, '{"Cmd":"a b"}', { cmd: ['a b'] });
test(reads, '{"Cmd":""}', { cmd: [''] });
test(reads, '{"Cmd":[]}', { cmd: [] });
test(reads, '{"Cmd":["a"],"Cmd":null}', { cmd: null });
test(reads, '{"Cmd":["a","b"],"Cmd":[null]}', { cmd: [''] });
test(reads, '{"Env":["a","b"],"Env":[null]}', { env: ['a'] });
test(reads, '{"Entrypoint":"x","Shell":"y"}', { entrypoint: ['x'], shell: ['y'] });
test(reads, '{"Volumes":{"/a":{"ignored":1},"/b":null}}', { volumes: { '/a': {}, '/b': {} } });
test(reads, '{"ExposedPorts":{"80/tcp":{}},"ExposedPorts":{"53/udp":{}}}', {
  exposedPorts: { '80/tcp': {}, '53/udp': {} },
});
test(reads, '{"StopTimeout":0}', { stopTimeout: 0 });
test(reads, '{"StopTimeout":5,"StopTimeout":null}', { stopTimeout: undefined });
test(reads, '{"Healthcheck":{"Test":["NONE"]},"healthcheck":{"Retries":3}}', {
  healthcheck: { test: ['NONE'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 3 },
});

const refuses = test.macro({
  exec(t, json: string) {
    t.throws(() => decodeJson(bytesOf(json), containerConfigCodec), { instanceOf: JsonError });
  },
  title: (_, json: string) => `${json} is refused`,
});

test(refuses, '{"Cmd":[1]}');
test(refuses, '{"Cmd":{}}');
test(refuses, '{"Cmd":true}');
test(refuses, '{"Env":"A=1"}');
test(refuses, '{"Volumes":["/a"]}');
test(refuses, '{"Volumes":{"/a":1}}');
test(refuses, '{"Labels":{"a":{}}}');
test(refuses, '{"StopTimeout":"5"}');
test(refuses, '{"Healthcheck":[]}');
test(refuses, '{"Healthcheck":{"Interval":"30s"}}');

test('a whole config is written in the order of its fields, with nothing left out', (t) => {
  const text =
    '{"Hostname":"h","Domainname":"d","User":"u","AttachStdin":true,"AttachStdout":true,"AttachStderr":true,' +
    '"ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,"StdinOnce":true,"Env":["A=1"],"Cmd":["c"],' +
    '"Healthcheck":{"Test":["CMD","x"],"Interval":1,"Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5},' +
    '"ArgsEscaped":true,"Image":"i","Volumes":{"/v":{}},"WorkingDir":"/w","Entrypoint":["e"],"NetworkDisabled":true,' +
    '"MacAddress":"02:42:ac:11:00:02","OnBuild":["RUN a"],"Labels":{"a":"b"},"StopSignal":"SIGINT","StopTimeout":0,' +
    '"Shell":["/bin/sh"]}';
  t.is(containerConfigCodec.encode(decodeJson(bytesOf(text), containerConfigCodec)), text);
});

test('an empty config is written with the nulls that Docker writes', (t) => {
  t.is(
    containerConfigCodec.encode(newContainerConfig()),
    '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,' +
      '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,' +
      '"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}',
  );
});
