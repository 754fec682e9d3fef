import { StoreError } from '../errors.js';

/** The two facts about the host that Node's `process` tells. */
interface HostProcess {
  readonly platform?: unknown;
  readonly arch?: unknown;
}

// Node's names that are not Go's; the others are the same.
const GOOS: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris', cygwin: 'windows' };
// Node runs on ppc64 only as little-endian; `mipsel` is Go's `mipsle`.
const GOARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', mipsel: 'mipsle' };

/** Returns the operating system this runs on, as Go's GOOS names it; `linux` where it cannot be known, as in a browser. */
export function hostOs(): string {
  const name = hostProcess().platform;
  return typeof name === 'string' && name !== '' ? (GOOS[name] ?? name) : 'linux';
}

/** Returns the architecture this runs on, as Go's GOARCH names it; `amd64` where it cannot be known, as in a browser. */
export function hostArchitecture(): string {
  const name = hostProcess().arch;
  return typeof name === 'string' && name !== '' ? (GOARCH[name] ?? name) : 'amd64';
}

function hostProcess(): HostProcess {
  return (globalThis as { readonly process?: HostProcess }).process ?? {};
}

/** What an image runs on (OCI image spec, image-index.md, `platform`), in the words of Go's GOOS and GOARCH. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Of the CPU, such as `v7`. */
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly osFeatures?: readonly string[] | undefined;
}

const PART = /^[A-Za-z0-9_.-]+$/;
const SYSTEMS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos'.split(
    ' ',
  ),
);
const ARCHITECTURES: ReadonlySet<string> = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ' +
    'ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
);

/**
 * Returns the platform that `text` names: `os/arch/variant`, `os/arch`, or an operating system or an
 * architecture alone, which the host's completes. Other spellings (`x86_64`, `aarch64`, `armhf`, `macos`) become Go's,
 * and a variant that is the usual one is left out, except where it was given for arm64, as in containerd's platforms.Parse.
 * @throws {StoreError} PLATFORM_INVALID when it names none
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  for (const part of parts) {
    if (!PART.test(part)) throw invalid(text, 'each part must be letters, digits, "_", "." or "-"');
  }
  const [first = '', architecture = '', variant = ''] = parts;
  if (parts.length > 3) throw invalid(text, `found ${parts.length} parts`);
  if (parts.length === 1) return parseSinglePart(text);
  const platform = normalizePlatform({ os: first, architecture, variant });
  if (parts.length === 2 && platform.architecture === 'arm' && platform.variant === 'v7') {
    return { os: platform.os, architecture: 'arm' };
  }
  if (parts.length === 3 && platform.architecture === 'arm64' && platform.variant === undefined) {
    return { ...platform, variant: 'v8' };
  }
  return platform;
}

function parseSinglePart(text: string): Platform {
  const os = normalizeOs(text);
  if (SYSTEMS.has(os)) return { os, architecture: hostArchitecture() };
  const platform = normalizePlatform({ os: hostOs(), architecture: text });
  const { architecture, variant } = platform;
  if (!ARCHITECTURES.has(architecture)) throw invalid(text, 'it is no operating system or architecture');
  return architecture === 'arm' && variant === 'v7' ? { os: platform.os, architecture } : platform;
}

function invalid(text: string, found: string): StoreError {
  const shown = text.slice(0, 100);
  const message = `${JSON.stringify(shown)} is no platform: expected os/architecture or os/architecture/variant; ${found}`;
  return new StoreError('PLATFORM_INVALID', message, { data: { platform: shown } });
}

/** Returns `os/architecture`, and `/variant` when there is one; `unknown` for a part that is empty. */
export function formatPlatform(platform: Platform): string {
  const parts = [platform.os || 'unknown', platform.architecture || 'unknown'];
  return (platform.variant ? [...parts, platform.variant] : parts).join('/');
}

/**
 * Whether an image for `found` is what was asked for with `wanted`. Spellings do not count, and neither does a variant that
 * is the usual one: `arm64` and `arm64/v8` are the same, and so are `arm` and `arm/v7`. What `wanted` says nothing of
 * (version and features of the operating system) may be anything; a version matches its later parts too, `10.0.17763` also
 * `10.0.17763.1`.
 */
export function platformMatches(wanted: Platform, found: Platform): boolean {
  const left = normalizePlatform(wanted);
  const right = normalizePlatform(found);
  return (
    left.os === right.os &&
    left.architecture === right.architecture &&
    left.variant === right.variant &&
    versionMatches(left.osVersion, right.osVersion) &&
    (left.osFeatures ?? []).every((feature) => right.osFeatures?.includes(feature) === true)
  );
}

function versionMatches(wanted: string | undefined, found: string | undefined): boolean {
  return !wanted || wanted === found || found?.startsWith(`${wanted}.`) === true;
}

/**
 * Returns `platform` in Go's spelling and without a variant that is the usual one, except `v7` for arm; empty fields are left
 * out, but `os` and `architecture` stay even when they are empty.
 */
function normalizePlatform(platform: Platform): Platform {
  const [architecture, variant] = normalizeArchitecture(
    platform.architecture.toLowerCase(),
    (platform.variant ?? '').toLowerCase(),
  );
  return {
    os: normalizeOs(platform.os),
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(platform.osVersion ? { osVersion: platform.osVersion } : {}),
    ...(platform.osFeatures?.length ? { osFeatures: platform.osFeatures } : {}),
  };
}

function normalizeOs(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function normalizeArchitecture(architecture: string, variant: string): readonly [string, string] {
  switch (architecture) {
    case 'i386':
      return ['386', ''];
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', variant === 'v1' ? '' : variant];
    case 'aarch64':
    case 'arm64':
      return ['arm64', variant === '8' || variant === 'v8' ? '' : variant];
    case 'armhf':
      return ['arm', 'v7'];
    case 'armel':
      return ['arm', 'v6'];
    case 'arm':
      return ['arm', variant === '' ? 'v7' : /^[5-8]$/.test(variant) ? `v${variant}` : variant];
    default:
      return [architecture, variant];
  }
}
