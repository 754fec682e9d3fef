import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { answerTo, HttpFailure } from '../failure.js';
import { type Docker, type DockerExchange, jsonLine, jsonLines } from './docker.js';

/** Between two lines of progress, and before the first: what fails until then has a status. */
const PROGRESS_MS = 500;

/** Tells how far a work is, in bytes. */
export type Tell = (current: number, total: number | undefined) => void;

/** What is shown of a work. */
interface Shown {
  readonly status: string;
  readonly id: string;
}

/**
 * Answers with what `work` returns, a value a line, and with its progress before if it takes long
 * and `isWanted`. A failure after that is a line too, in both of the forms that clients look for.
 */
export async function withProgress(
  c: DockerExchange,
  docker: Docker,
  { isWanted, status, id }: Shown & { readonly isWanted: boolean },
  work: (tell: Tell) => Promise<readonly object[]>,
): Promise<Response> {
  const { outgoing } = c.env;
  let toldAt = performance.now();
  let hasBegun = false;
  const tell: Tell = (current, total) => {
    const now = performance.now();
    if (!isWanted || outgoing === undefined || now - toldAt < PROGRESS_MS || outgoing.writableNeedDrain) return;
    toldAt = now;
    if (!hasBegun) outgoing.writeHead(200, { 'content-type': 'application/json' });
    hasBegun = true;
    outgoing.write(jsonLine({ status, progressDetail: { current, total }, id }));
  };
  try {
    const values = await work(tell);
    if (!hasBegun) return await jsonLines(c, docker, values);
    outgoing?.end(values.map(jsonLine).join(''));
  } catch (error) {
    if (!hasBegun) throw error;
    const { status: code, body } = answerTo(error);
    if (code === 500 && !(error instanceof HttpFailure)) docker.service.onFailure(error);
    const [{ message }] = body.errors;
    outgoing?.end(jsonLine({ errorDetail: { message }, error: message }));
  }
  return RESPONSE_ALREADY_SENT;
}
