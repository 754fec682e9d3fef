import test from 'ava';
import fc from 'fast-check';
import {
  formatPlatform,
  hostArchitecture,
  hostOs,
  parsePlatform,
  type Platform,
  platformMatches,
} from '../../src/model/platform.js';
import { storeError } from '../support/store-error.js';

const parses = test.macro({
  exec(t, text: string, expected: Platform) {
    t.deepEqual(parsePlatform(text), expected);
  },
  title: (_, text: string, expected: Platform) => `${text} is the platform ${formatPlatform(expected)}`,
});

test(parses, 'linux/amd64', { os: 'linux', architecture: 'amd64' });
test(parses, 'Linux/AMD64', { os: 'linux', architecture: 'amd64' });
test(parses, 'linux/x86_64', { os: 'linux', architecture: 'amd64' });
test(parses, 'linux/x86-64', { os: 'linux', architecture: 'amd64' });
test(parses, 'linux/amd64/v1', { os: 'linux', architecture: 'amd64' });
test(parses, 'linux/amd64/v3', { os: 'linux', architecture: 'amd64', variant: 'v3' });
test(parses, 'linux/i386', { os: 'linux', architecture: '386' });
test(parses, 'linux/arm64', { os: 'linux', architecture: 'arm64' });
test(parses, 'linux/arm64/v8', { os: 'linux', architecture: 'arm64', variant: 'v8' });
test(parses, 'linux/arm64/8', { os: 'linux', architecture: 'arm64', variant: 'v8' });
test(parses, 'linux/aarch64', { os: 'linux', architecture: 'arm64' });
test(parses, 'linux/arm64/v9', { os: 'linux', architecture: 'arm64', variant: 'v9' });
test(parses, 'linux/arm', { os: 'linux', architecture: 'arm' });
test(parses, 'linux/armhf', { os: 'linux', architecture: 'arm' });
test(parses, 'linux/arm/v7', { os: 'linux', architecture: 'arm', variant: 'v7' });
test(parses, 'linux/arm/6', { os: 'linux', architecture: 'arm', variant: 'v6' });
test(parses, 'linux/armel', { os: 'linux', architecture: 'arm', variant: 'v6' });
test(parses, 'linux/s390x', { os: 'linux', architecture: 's390x' });
test(parses, 'macos/aarch64', { os: 'darwin', architecture: 'arm64' });
test(parses, 'windows/amd64', { os: 'windows', architecture: 'amd64' });
test(parses, 'windows', { os: 'windows', architecture: hostArchitecture() });
test(parses, 'macOS', { os: 'darwin', architecture: hostArchitecture() });
test(parses, 'riscv64', { os: hostOs(), architecture: 'riscv64' });
test(parses, 'arm', { os: hostOs(), architecture: 'arm' });
test(parses, 'armel', { os: hostOs(), architecture: 'arm', variant: 'v6' });
test(parses, 'x86_64', { os: hostOs(), architecture: 'amd64' });

const refuses = test.macro({
  exec(t, text: string) {
    const error = storeError(t, 'PLATFORM_INVALID', () => parsePlatform(text));
    t.true(error.message.includes(JSON.stringify(text)));
  },
  title: (_, text) => `${JSON.stringify(text)} is not a platform`,
});

test(refuses, '');
test(refuses, '/');
test(refuses, 'linux/');
test(refuses, '/amd64');
test(refuses, 'linux/amd64/');
test(refuses, 'linux/arm/v7/extra');
test(refuses, 'linux/*');
test(refuses, '*');
test(refuses, 'linux amd64');
test(refuses, 'linux/&arm');
test(refuses, 'notasystem');

test('a platform that was formatted parses to one that matches it', (t) => {
  const os = fc.constantFrom('linux', 'windows', 'darwin', 'freebsd');
  const architecture = fc.constantFrom('amd64', 'arm64', 'arm', '386', 's390x', 'ppc64le');
  const variant = fc.constantFrom('', 'v1', 'v5', 'v6', 'v7', 'v8', '8');
  fc.assert(
    fc.property(os, architecture, variant, (name, cpu, kind) => {
      const platform = { os: name, architecture: cpu, variant: kind };
      const parsed = parsePlatform(formatPlatform(platform));
      t.true(platformMatches(platform, parsed));
      t.deepEqual(parsePlatform(formatPlatform(parsed)), parsed);
      return true;
    }),
  );
});

test('a platform is formatted with its variant, and unknown parts are named so', (t) => {
  t.is(formatPlatform({ os: 'linux', architecture: 'arm', variant: 'v7' }), 'linux/arm/v7');
  t.is(formatPlatform({ os: '', architecture: '' }), 'unknown/unknown');
});

const matches = test.macro({
  exec(t, wanted: string, found: Platform, expected: boolean) {
    t.is(platformMatches(parsePlatform(wanted), found), expected);
  },
  title: (_, wanted: string, found: Platform, expected: boolean) =>
    `${wanted} ${expected ? 'matches' : 'does not match'} an image for ${formatPlatform(found)}`,
});

test(matches, 'linux/arm64', { os: 'linux', architecture: 'arm64', variant: 'v8' }, true);
test(matches, 'linux/arm64/v8', { os: 'linux', architecture: 'arm64' }, true);
test(matches, 'linux/arm64', { os: 'linux', architecture: 'aarch64' }, true);
test(matches, 'linux/arm', { os: 'linux', architecture: 'arm', variant: 'v7' }, true);
test(matches, 'linux/arm', { os: 'linux', architecture: 'arm', variant: 'v6' }, false);
test(matches, 'linux/arm/v6', { os: 'linux', architecture: 'arm', variant: '6' }, true);
test(matches, 'linux/amd64', { os: 'linux', architecture: 'amd64', variant: 'v1' }, true);
test(matches, 'linux/amd64', { os: 'linux', architecture: 'amd64', variant: 'v2' }, false);
test(matches, 'linux/amd64', { os: 'windows', architecture: 'amd64' }, false);
test(matches, 'linux/amd64', { os: 'linux', architecture: 'arm64' }, false);
test(matches, 'linux/amd64', { os: '', architecture: '' }, false);
test(matches, 'windows/amd64', { os: 'windows', architecture: 'amd64', osVersion: '10.0.17763.1' }, true);

test('a version and features of the operating system count when they are asked for', (t) => {
  const found = { os: 'windows', architecture: 'amd64', osVersion: '10.0.17763.1', osFeatures: ['win32k'] };
  const base = { os: 'windows', architecture: 'amd64' };
  t.true(platformMatches({ ...base, osVersion: '10.0.17763' }, found));
  t.true(platformMatches({ ...base, osVersion: '10.0.17763.1', osFeatures: ['win32k'] }, found));
  t.false(platformMatches({ ...base, osVersion: '10.0.1776' }, found));
  t.false(platformMatches({ ...base, osVersion: '10.0.17763' }, base));
  t.false(platformMatches({ ...base, osFeatures: ['other'] }, found));
  t.false(platformMatches({ ...base, osFeatures: ['win32k'] }, base));
});

test.serial('the host is named as Go names it, and is linux/amd64 where nothing tells', (t) => {
  const original = Object.getOwnPropertyDescriptor(globalThis, 'process');
  const hostOf = (value: unknown): string => {
    Object.defineProperty(globalThis, 'process', { value, configurable: true });
    try {
      return `${hostOs()}/${hostArchitecture()}`;
    } finally {
      Object.defineProperty(globalThis, 'process', original ?? {});
    }
  };
  t.is(hostOf({ platform: 'win32', arch: 'x64' }), 'windows/amd64');
  t.is(hostOf({ platform: 'darwin', arch: 'arm64' }), 'darwin/arm64');
  t.is(hostOf({ platform: 'sunos', arch: 'ia32' }), 'solaris/386');
  t.is(hostOf({ platform: 'linux', arch: 'mipsel' }), 'linux/mipsle');
  t.is(hostOf(undefined), 'linux/amd64');
  t.is(hostOf({}), 'linux/amd64');
});
