/** A connection or a request that was refused before any route could see it. */
export interface Refused {
  readonly address: string;
  /** Of the answer; 0 where there was none. */
  readonly status: number;
  readonly code: string;
}

/** Returns the body of a refusal, as routes have it. */
export function refusalBody(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message }] });
}

/** Returns the bytes of an answer to what is no request yet. */
export function rawAnswer(status: number, reason: string, code: string, headers: readonly string[] = []): string {
  const body = refusalBody(code, reason.toLowerCase());
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...headers,
    '',
    body,
  ].join('\r\n');
}
