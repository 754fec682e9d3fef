import {
  boolCodec,
  type Codec,
  field,
  type Int64,
  int64Codec,
  mapCodec,
  omitEmptyField,
  pointerCodec,
  sliceCodec,
  stringCodec,
  structCodec,
} from './go-json/codecs.js';

/** Health check of a container. Durations are nanoseconds; 0 means inherited. */
interface HealthConfig {
  /** `['NONE']`, `['CMD', …]` or `['CMD-SHELL', command]`; empty means inherited. */
  readonly test: readonly string[] | null;
  readonly interval: Int64;
  readonly timeout: Int64;
  readonly startPeriod: Int64;
  readonly startInterval: Int64;
  readonly retries: Int64;
}

/** A set of names as Go marshals it: each maps to an empty object. */
type NameSet = Readonly<Record<string, Readonly<Record<string, never>>>>;

/**
 * Default settings of a container: Docker's container.Config, with JSON names in camelCase. Lists
 * and maps are null where Go has nil: Docker writes `null` for nil and `[]` for empty.
 */
export interface ContainerConfig {
  readonly hostname: string;
  readonly domainname: string;
  readonly user: string;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  /** By `port/protocol`, such as `80/tcp`. */
  readonly exposedPorts: NameSet | null;
  readonly tty: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  /** Each `NAME=value`. */
  readonly env: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  readonly healthcheck?: HealthConfig | undefined;
  readonly argsEscaped: boolean;
  readonly image: string;
  readonly volumes: NameSet | null;
  readonly workingDir: string;
  readonly entrypoint: readonly string[] | null;
  readonly networkDisabled: boolean;
  readonly macAddress: string;
  readonly onBuild: readonly string[] | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly stopSignal: string;
  /** Seconds. */
  readonly stopTimeout?: Int64 | undefined;
  readonly shell: readonly string[] | null;
}

const strings = sliceCodec(stringCodec);
const names: Codec<NameSet | null> = mapCodec(structCodec<Readonly<Record<string, never>>>({}));

/** Docker's strslice.StrSlice: a list, or a string for a list of one. The last value wins. */
const commandCodec: Codec<readonly string[] | null> = {
  zero: strings.zero,
  encode: strings.encode,
  isEmpty: strings.isEmpty,
  decode: (value) => (typeof value === 'string' ? [value] : strings.decode(value, null)),
};

const healthCodec = structCodec<HealthConfig>({
  test: omitEmptyField('Test', strings),
  interval: omitEmptyField('Interval', int64Codec),
  timeout: omitEmptyField('Timeout', int64Codec),
  startPeriod: omitEmptyField('StartPeriod', int64Codec),
  startInterval: omitEmptyField('StartInterval', int64Codec),
  retries: omitEmptyField('Retries', int64Codec),
});

/** Docker's `container.Config` (api/types/container/config.go), fields in Docker's order. */
export const containerConfigCodec: Codec<ContainerConfig> = structCodec<ContainerConfig>(
  {
    hostname: field('Hostname', stringCodec),
    domainname: field('Domainname', stringCodec),
    user: field('User', stringCodec),
    attachStdin: field('AttachStdin', boolCodec),
    attachStdout: field('AttachStdout', boolCodec),
    attachStderr: field('AttachStderr', boolCodec),
    exposedPorts: omitEmptyField('ExposedPorts', names),
    tty: field('Tty', boolCodec),
    openStdin: field('OpenStdin', boolCodec),
    stdinOnce: field('StdinOnce', boolCodec),
    env: field('Env', strings),
    cmd: field('Cmd', commandCodec),
    healthcheck: omitEmptyField('Healthcheck', pointerCodec(healthCodec)),
    argsEscaped: omitEmptyField('ArgsEscaped', boolCodec),
    image: field('Image', stringCodec),
    volumes: field('Volumes', names),
    workingDir: field('WorkingDir', stringCodec),
    entrypoint: field('Entrypoint', commandCodec),
    networkDisabled: omitEmptyField('NetworkDisabled', boolCodec),
    macAddress: omitEmptyField('MacAddress', stringCodec),
    onBuild: field('OnBuild', strings),
    labels: field('Labels', mapCodec(stringCodec)),
    stopSignal: omitEmptyField('StopSignal', stringCodec),
    stopTimeout: omitEmptyField('StopTimeout', pointerCodec(int64Codec)),
    shell: omitEmptyField('Shell', commandCodec),
  },
  (zero) => ({ ...zero }),
);

/** Returns a container config with `settings`, and Go's zero values for the rest. */
export function newContainerConfig(settings: Partial<ContainerConfig> = {}): ContainerConfig {
  return { ...containerConfigCodec.zero(), ...settings };
}
