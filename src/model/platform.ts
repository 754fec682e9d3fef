import { StoreError } from '../errors.js';

interface HostProcess {
  readonly platform?: unknown;
  readonly arch?: unknown;
}

// Node's names that differ from Go's.
const GOOS: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris', cygwin: 'windows' };
// Node's ppc64 is always little-endian; `mipsel` is Go's `mipsle`.
const GOARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', mipsel: 'mipsle' };

/** Returns this host's GOOS; `linux` if unknown, as in a browser. */
export function hostOs(): string {
  const name = hostProcess().platform;
  return typeof name === 'string' && name !== '' ? (GOOS[name] ?? name) : 'linux';
}

/** Returns this host's GOARCH; `amd64` if unknown, as in a browser. */
export function hostArchitecture(): string {
  const name = hostProcess().arch;
  return typeof name === 'string' && name !== '' ? (GOARCH[name] ?? name) : 'amd64';
}

function hostProcess(): HostProcess {
  return (globalThis as { readonly process?: HostProcess }).process ?? {};
}

/** Platform of an image (OCI image spec, image-index.md, `platform`), in GOOS and GOARCH. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** CPU variant, such as `v7`. */
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
 * Parses `os/arch/variant`, `os/arch`, or an operating system or architecture alone, completed from
 * the host. Normalizes spellings (`x86_64`, `aarch64`, `armhf`, `macos`) to Go's and drops a
 * default variant, except an explicit one for arm64, like containerd's platforms.Parse.
 * @throws {StoreError} PLATFORM_INVALID when malformed
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
  if (!ARCHITECTURES.has(architecture)) throw invalid(text, 'it is not an operating system or architecture');
  return architecture === 'arm' && variant === 'v7' ? { os: platform.os, architecture } : platform;
}

function invalid(text: string, found: string): StoreError {
  const shown = text.slice(0, 100);
  const message = `${JSON.stringify(shown)} is not a platform: expected os/architecture or os/architecture/variant; ${found}`;
  return new StoreError('PLATFORM_INVALID', message, { data: { platform: shown } });
}

/** Returns `os/architecture`, with `/variant` if any; `unknown` for empty parts. */
export function formatPlatform(platform: Platform): string {
  const parts = [platform.os || 'unknown', platform.architecture || 'unknown'];
  return (platform.variant ? [...parts, platform.variant] : parts).join('/');
}

/**
 * Whether an image for `found` satisfies `wanted`. Ignores spelling and default variants: `arm64`
 * equals `arm64/v8`, `arm` equals `arm/v7`. Fields absent from `wanted` (OS version and features)
 * match anything; a version also matches longer ones: `10.0.17763` matches `10.0.17763.1`.
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

/** Whether an image for `found` is wanted; every one is if `wanted` is empty. */
export function isWanted(wanted: readonly Platform[], found: Platform): boolean {
  return wanted.length === 0 || wanted.some((platform) => platformMatches(platform, found));
}

function versionMatches(wanted: string | undefined, found: string | undefined): boolean {
  return !wanted || wanted === found || found?.startsWith(`${wanted}.`) === true;
}

/**
 * Normalizes to Go's spelling without default variants, except `v7` for arm; drops empty fields
 * other than `os` and `architecture`.
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
