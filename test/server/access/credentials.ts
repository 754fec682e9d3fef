import type { AccessRefusal, Connection, Credentials } from '../../../src/server/access/access.js';

/** Lines that `htpasswd -nbB` of Apache 2.4 wrote: alice has `correct horse`, zoë `pässwort`, each with its own cost. */
export const htpasswdLines = {
  alice: 'alice:$2y$05$IsMiI/UYBF64nso2vwAw9OWbtjsrYoT4f1v2DzzmfiF795AaorhZ.',
  zoë: 'zoë:$2y$04$AhNosHL4RHNtGe3mLbUAzuuYvPoEnTs1nyraX5Tk0QIJ2ra0QM1tu',
} as const;

/** The header of a name and password. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** A connection over TLS from another machine, but for what `facts` say. */
export function connection(facts: Partial<Connection> = {}): Connection {
  return {
    kind: 'tcp',
    address: '203.0.113.7',
    isLoopback: false,
    isEncrypted: true,
    certificate: undefined,
    socketPath: undefined,
    descriptor: undefined,
    ...facts,
  };
}

/** A request with these headers Authorization. */
export function presenting(authorization: string | readonly string[] = [], facts?: Partial<Connection>): Credentials {
  return { authorization: [authorization].flat(), connection: connection(facts) };
}

/** Facts of a refusal that a test compares. */
export function factsOf({ status, code, reason, user }: AccessRefusal): unknown {
  return { status, code, reason, ...(user === undefined ? {} : { user }) };
}
