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
