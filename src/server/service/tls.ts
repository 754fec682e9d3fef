import { createSecureContext, type SecureContextOptions, type Server as TlsServer } from 'node:tls';
import { open, stat } from 'node:fs/promises';
import { StoreError, thrownText } from '../../errors.js';
import { MAX_TLS_FILE_BYTES } from '../../limits.js';
import { systemCode } from '../../store/files/files.js';

/** Files of TLS, in PEM. */
export interface TlsFiles {
  /** The certificate, and those that lead to an authority that clients know. */
  readonly cert: string;
  readonly key: string;
  /** Authorities of the certificates that clients may show. */
  readonly clientCa?: string | undefined;
}

/** How often the files are looked at: certificates are renewed days before they end. */
const FILE_CHECK_MS = 10_000;

/**
 * The certificate of a server, read again when its files change. Clients may show a certificate
 * but need none: who may what is decided by request.
 */
export class TlsKeys implements AsyncDisposable {
  readonly #files: TlsFiles;
  readonly #onNotice: (notice: string) => void;
  readonly #servers = new Set<{ setSecureContext(options: SecureContextOptions): void }>();
  readonly #timer: NodeJS.Timeout;
  #context: SecureContextOptions;
  #state: string;
  #reading: Promise<void> = Promise.resolve();

  private constructor(
    files: TlsFiles,
    { context, state }: { readonly context: SecureContextOptions; readonly state: string },
    onNotice: (notice: string) => void,
  ) {
    this.#files = files;
    this.#context = context;
    this.#state = state;
    this.#onNotice = onNotice;
    this.#timer = setInterval(() => void this.#checkFiles(), FILE_CHECK_MS).unref();
  }

  /** @throws {StoreError} TLS_INVALID when a file cannot be read or is not what it should be */
  static async read(files: TlsFiles, onNotice: (notice: string) => void): Promise<TlsKeys> {
    const state = await stateOf(files);
    return new TlsKeys(files, { context: await contextOf(files), state }, onNotice);
  }

  /** For `https.createServer`. */
  get options(): SecureContextOptions & { readonly requestCert: boolean; readonly rejectUnauthorized: boolean } {
    return { ...this.#context, requestCert: this.#files.clientCa !== undefined, rejectUnauthorized: false };
  }

  /** Gives the server each new certificate, for its connections from then on. */
  keepCurrent(server: Pick<TlsServer, 'setSecureContext'>): void {
    this.#servers.add(server);
  }

  /** Reads the files now. A certificate that is not valid changes nothing, with a notice. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#servers.clear();
    await this.#reading;
  }

  async #checkFiles(): Promise<void> {
    if ((await stateOf(this.#files)) !== this.#state) await this.reload();
  }

  async #read(): Promise<void> {
    const state = await stateOf(this.#files);
    try {
      this.#context = await contextOf(this.#files);
      for (const server of this.#servers) server.setSecureContext(this.#context);
      this.#onNotice(`the certificate ${this.#files.cert} was read again`);
    } catch (error) {
      this.#onNotice(`${thrownText(error)}; the one in use stays`);
    }
    // A bad file is not tried again until it changes.
    this.#state = state;
  }
}

async function contextOf({ cert, key, clientCa }: TlsFiles): Promise<SecureContextOptions> {
  const options: SecureContextOptions = {
    cert: await readPem(cert),
    key: await readPem(key),
    ...(clientCa === undefined ? {} : { ca: await readPem(clientCa) }),
    minVersion: 'TLSv1.2',
  };
  try {
    createSecureContext(options);
  } catch (cause) {
    const why = thrownText(cause);
    throw new StoreError('TLS_INVALID', `the certificate ${cert} with the key ${key} is not valid: ${why}`, { cause });
  }
  return options;
}

async function readPem(path: string): Promise<Buffer> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > MAX_TLS_FILE_BYTES) {
        throw new StoreError('TLS_INVALID', `${path} has ${size} bytes, at most ${MAX_TLS_FILE_BYTES} are allowed`);
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError('TLS_INVALID', `cannot read ${path}: ${systemCode(cause)}`, { cause, data: { path } });
  }
}

/** Differs once a file does: a renewal replaces it, or what a link leads to. */
async function stateOf({ cert, key, clientCa }: TlsFiles): Promise<string> {
  const paths = [cert, key, ...(clientCa === undefined ? [] : [clientCa])];
  const states = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
        (error) => systemCode(error),
      ),
    ),
  );
  return states.join('|');
}
