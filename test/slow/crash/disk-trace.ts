/** One call of the system that changed a disk. Paths are below the directory that was watched. */
export type DiskCall =
  | {
      readonly call: 'open';
      readonly path: string;
      readonly creates: boolean;
      readonly truncates: boolean;
      readonly appends: boolean;
    }
  | { readonly call: 'write'; readonly path: string; readonly bytes: Buffer; readonly at: number | undefined }
  | { readonly call: 'truncate'; readonly path: string; readonly size: number }
  | { readonly call: 'sync' | 'make' | 'remove'; readonly path: string }
  | { readonly call: 'rename' | 'link'; readonly path: string; readonly to: string }
  /** So many bytes of the file, from where `to` ends on. */
  | { readonly call: 'copy'; readonly path: string; readonly to: string; readonly size: number };

/** The options of strace for a trace that `parseDiskTrace` reads: all bytes, in hex, and calls that the model does not know. */
export const DISK_TRACE = [
  '-xx',
  '-s',
  '16777216',
  '-e',
  `trace=${[
    ...[
      'openat',
      'open',
      'creat',
      'write',
      'writev',
      'pwrite64',
      'pwritev',
      'pwritev2',
      'ftruncate',
      'truncate',
      'fallocate',
    ],
    ...['fsync', 'fdatasync', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir'],
    ...['link', 'linkat', 'symlink', 'symlinkat', 'copy_file_range', 'sendfile', 'sync_file_range', 'msync'],
  ].join(',')}`,
];

/** Calls that name two files. */
const TWO_FILES = /^(?:rename|link|copy_file_range)/;

/**
 * Returns what a traced process changed below `directory`, in the order in which the calls came back. Those that failed are left out.
 * @throws {Error} for a call about the directory that is not known here
 */
export function parseDiskTrace(trace: string, directory: string): DiskCall[] {
  return wholeLines(trace).flatMap((line) => {
    const call = parseLine(line, directory);
    return call === undefined ? [] : [call];
  });
}

/** Lines of calls that another thread interrupted are put together, where they end. */
function wholeLines(trace: string): string[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const end = rest.indexOf(' <unfinished ...>');
    if (end >= 0) {
      begun.set(thread, rest.slice(0, end));
      return [];
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest)?.[0];
    return [resumed === undefined ? rest : `${begun.get(thread) ?? ''}${rest.slice(resumed.length)}`];
  });
}

function parseLine(line: string, directory: string): DiskCall | undefined {
  const [, name = '', args = '', result = ''] = /^(\w+)\((.*)\) += (-?\d+)/.exec(line) ?? [];
  if (name === '' || result.startsWith('-')) return undefined;
  // What stands between quotes, and what a descriptor stands for.
  const texts = [...args.replace(/AT_FDCWD<[^>]*>/g, '').matchAll(/(?:"([^"]*)"|<([^>]*)>)/g)].map(
    ([, quoted, named]) => unescaped(quoted ?? named ?? ''),
  );
  const [path, second] = texts.map((text, at) =>
    at === 0 || TWO_FILES.test(name) ? below(text, directory) : undefined,
  );
  if (path === undefined) return undefined;
  switch (name) {
    case 'openat':
      return openCall(path, args);
    case 'write':
      return { call: 'write', path, bytes: written(texts[1], result), at: undefined };
    case 'pwrite64':
      return { call: 'write', path, bytes: written(texts[1], result), at: Number(/, (\d+)$/.exec(args)?.[1]) };
    case 'ftruncate':
      return { call: 'truncate', path, size: Number(/, (\d+)$/.exec(args)?.[1]) };
    case 'fsync':
    case 'fdatasync':
      return { call: 'sync', path };
    case 'mkdir':
      return { call: 'make', path };
    case 'unlink':
    case 'rmdir':
      return { call: 'remove', path };
    case 'rename':
      if (second !== undefined) return { call: 'rename', path, to: second };
      break;
    case 'link':
      if (second !== undefined) return { call: 'link', path, to: second };
      break;
    case 'copy_file_range':
      if (second !== undefined) return { call: 'copy', path, to: second, size: Number(result) };
  }
  throw new Error(`${name} is not known to the model of the disk`);
}

function openCall(path: string, args: string): DiskCall | undefined {
  const flags = new Set(
    args
      .split(', ')
      .find((arg) => arg.startsWith('O_'))
      ?.split('|'),
  );
  if (!flags.has('O_WRONLY') && !flags.has('O_RDWR')) return undefined;
  return {
    call: 'open',
    path,
    creates: flags.has('O_CREAT'),
    truncates: flags.has('O_TRUNC'),
    appends: flags.has('O_APPEND'),
  };
}

function written(text: Buffer | undefined, result: string): Buffer {
  return (text ?? Buffer.alloc(0)).subarray(0, Number(result));
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}

function below(path: Buffer, directory: string): string | undefined {
  const text = path.toString();
  if (text === directory) return '.';
  return text.startsWith(`${directory}/`) ? text.slice(directory.length + 1) : undefined;
}
