import { type ErrorCode, isStoreError, StoreError } from '../errors.js';
import { type Digest, isDigest } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { familiarReference } from '../model/reference.js';
import type { EventStore } from '../store/event-store.js';
import type { Removal } from '../store/past/removals.js';
import type { CommandContext } from './context.js';
import { openFor } from './open-for.js';
import { shortId } from '../model/texts.js';
import { zonedMinuteText } from './render/times.js';
import { quoted } from './typed-line.js';

/* What a command says of a name that is not there, but was, or came later. */

const absences: readonly ErrorCode[] = ['IMAGE_NOT_FOUND', 'REFERENCE_NOT_FOUND', 'ARTIFACT_NOT_FOUND'];

/** Facts of such errors that may hold the name, in order of precedence. */
const nameFacts = ['name', 'reference', 'image', 'artifact', 'term'] as const;

/** Commands that a hint may run in the past; for others it names `inspect`. */
const pastCommands: readonly string[] = ['inspect', 'history', 'referrers', 'resolve'];

/** The command that failed. */
interface Failed {
  readonly context: CommandContext;
  readonly command: string;
}

/**
 * Returns `error`, or if it is about a name that the log knows one of the same code that says what
 * became of it. Opens the store again, for reading: the command has closed it.
 */
export async function explainAbsence(error: unknown, failed: Failed): Promise<unknown> {
  if (error instanceof AggregateError) {
    const explained: unknown[] = [];
    for (const each of error.errors) explained.push(await explainAbsence(each, failed));
    return new AggregateError(explained, error.message);
  }
  const name = absentName(error);
  if (name === undefined) return error;
  try {
    await using store = await openFor(failed.context, 'read');
    return (await whatBecameOf(name, error as StoreError, store, failed)) ?? error;
  } catch {
    // The name is not there in any case; the next command meets what else is wrong.
    return error;
  }
}

function absentName(error: unknown): string | undefined {
  if (!(error instanceof StoreError) || !absences.includes(error.code)) return undefined;
  const { data } = error;
  const fact = nameFacts.find((each) => typeof data[each] === 'string');
  return fact === undefined ? undefined : String(data[fact]);
}

async function whatBecameOf(
  name: string,
  error: StoreError,
  store: EventStore,
  { context, command }: Failed,
): Promise<StoreError | undefined> {
  const { at, timeZone, signal } = context;
  const again = pastCommands.includes(command) ? command : 'inspect';
  // Only a canonical name has the domain, which is not typed.
  const asTyped = name.startsWith('docker.io/') ? familiarReference(name) : name;
  const word = quoted(asTyped);
  // A bare number may be refused as a year.
  const line = (seq: number): string => `\`imagelog at @${seq} ${again} ${word}\``;
  const told = (message: string, event: number, hint: string): StoreError =>
    new StoreError(error.code, message, { cause: error, data: { ...error.data, event, hint } });
  try {
    const removal = await store.removal(name, { at, timeZone, signal });
    if (removal !== undefined) {
      const verb = removal.kind === 'image' ? 'deleted' : 'removed';
      const message = `${subject(removal)} is gone: ${verb} ${deed(removal, timeZone)}`;
      return told(message, removal.seq, hintOf(removal, line(removal.before)));
    }
  } catch (cause) {
    if (!isStoreError(cause, 'ID_AMBIGUOUS')) throw cause;
    const { count } = cause.data;
    const hint = `${count} removed ones begin so: \`imagelog search --all ${word}\``;
    return new StoreError(error.code, error.message, { cause: error, data: { ...error.data, hint } });
  }
  if (at === undefined) return undefined;
  const { seq } = await store.pointAt(at, { timeZone });
  const first = await firstLater(name, store, { seq, signal });
  if (first === undefined) return undefined;
  const verb = first.type === 'ReferenceSet' ? 'set' : 'added';
  const shown = isDigest(name) ? shortId(name) : asTyped;
  const message = `${shown} is not there yet after event ${seq}: first ${verb} ${deed(first, timeZone)}`;
  const { first: begin, count } = first.transaction;
  return told(message, first.seq, `as it was then: ${line(begin + count - 1)}`);
}

function subject({ kind, name, names }: Removal): string {
  if (kind === 'reference') return familiarReference(name);
  const [first, ...others] = names.map(familiarReference);
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const known = first === undefined ? '' : ` (${first}${more})`;
  return `the ${kind} ${shortId(name as Digest)}${known}`;
}

function deed(
  { time, actor, reason, requestId }: Pick<Removal, 'time' | 'actor' | 'reason' | 'requestId'>,
  timeZone: string,
): string {
  const why = reason === undefined ? '' : `, “${reason}”`;
  const request = requestId === undefined ? '' : ` (${requestId})`;
  return `${zonedMinuteText(time, timeZone)} by ${actor}${why}${request}`;
}

function hintOf({ kind, name, erased }: Removal, line: string): string {
  if (erased === undefined) return `as it was: ${line}`;
  const what = kind === 'image' ? 'config' : 'manifest';
  return `its ${what} was erased by event ${erased.seq}; what is known of it: \`imagelog log --image ${name}\``;
}

/** Returns the first event after `at` that put `name` there; undefined if none did. */
async function firstLater(
  name: string,
  store: EventStore,
  { seq, signal }: { readonly seq: number; readonly signal: AbortSignal },
): Promise<StoredEvent | undefined> {
  const from = seq + 1;
  if (!isDigest(name)) {
    const type = 'ReferenceSet';
    const events = store.history({ reference: name }, { from, type, limit: 1, signal });
    for await (const event of unlessUnknown(events)) return event;
  }
  const [match, second] = await store.searchAll(name, { past: true, signal });
  if (match === undefined || second !== undefined) return undefined;
  const type = ['ImageCreated', 'ArtifactAdded'] as const;
  for await (const event of unlessUnknown(store.history(match.digest, { from, type, signal }))) {
    if ((event.type === 'ArtifactAdded' ? event.artifact.digest : match.digest) === match.digest) return event;
  }
  return undefined;
}

/** Yields nothing for a subject that no event is about, or that is not a reference. */
async function* unlessUnknown(events: AsyncIterable<StoredEvent>): AsyncGenerator<StoredEvent> {
  try {
    yield* events;
  } catch (error) {
    if (!isStoreError(error, 'SUBJECT_NOT_FOUND') && !isStoreError(error, 'REFERENCE_INVALID')) throw error;
  }
}
