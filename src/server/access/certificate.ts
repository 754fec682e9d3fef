import type { PeerCertificate } from 'node:tls';
import type { CertificateName } from './options.js';

/**
 * Returns the user's name in a certificate; undefined unless it has exactly one of this kind, so that
 * no order of names decides who it is.
 */
export function certificateUser(certificate: PeerCertificate, kind: CertificateName): string | undefined {
  const names = kind === 'CN' ? commonNames(certificate) : alternativeNames(certificate, kind);
  const [name, another] = names;
  return another === undefined && name !== '' && name !== undefined && !/\p{Cc}/u.test(name)
    ? name.normalize('NFC')
    : undefined;
}

/** Node gives a list where there are several, unlike its types. */
function commonNames({ subject }: PeerCertificate): readonly string[] {
  const name: unknown = (subject as PeerCertificate['subject'] | undefined)?.CN;
  return (Array.isArray(name) ? name : [name]).filter((each) => typeof each === 'string');
}

function alternativeNames({ subjectaltname = '' }: PeerCertificate, kind: string): readonly string[] {
  // Node writes a name that could be taken for two as a JSON string.
  return [...subjectaltname.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)].flatMap(([, type, value = '']) => {
    if (type !== kind) return [];
    return value.startsWith('"') ? unquoted(value) : [value];
  });
}

function unquoted(value: string): readonly string[] {
  try {
    return [String(JSON.parse(value))];
  } catch {
    return [];
  }
}
