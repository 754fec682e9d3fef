import type { ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import type { ImageId } from '../../src/model/digest.js';
import type { Store } from '../../src/store/store.js';

/** First row of a recorded trace. */
export interface TraceHeader {
  readonly trace: string;
  readonly layers: readonly string[];
  readonly diffIds: readonly string[];
}

/** One recorded operation and what Docker's store answered. */
export interface TraceStep {
  readonly op: string;
  readonly id?: ImageId;
  readonly parent?: ImageId;
  readonly config?: string;
  readonly term?: string;
  readonly result?: unknown;
  readonly error?: { readonly kind: string; readonly message: string };
}

/** A store that a trace is run against. */
export interface TraceSubject {
  readonly store: Store;
  reopen(): Promise<void>;
  /** Paths and bytes of the images alive, as a filesystem backend writes them. */
  files(): Promise<ReadonlyMap<string, Uint8Array>>;
}

/** Runs one step and compares the answer with the recorded one. */
export async function checkStep(
  t: ExecutionContext,
  subject: TraceSubject,
  step: TraceStep,
  line: number,
): Promise<void> {
  const where = `line ${line}: ${step.op}`;
  if (step.op === 'finalFiles')
    return checkFiles(t, await subject.files(), step.result as Record<string, string | null>);
  if (step.error !== undefined) return checkRefusal(t, subject, step.error.kind, step, where);
  const answer = await perform(subject, step);
  t.deepEqual(answer, step.result, where);
}

async function checkRefusal(
  t: ExecutionContext,
  subject: TraceSubject,
  kind: string,
  step: TraceStep,
  where: string,
): Promise<void> {
  const error: unknown = await perform(subject, step).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isStoreError(error)) return t.fail(`${where}: expected a StoreError of kind ${kind}, got ${String(error)}`);
  // `Unknown` says only that it failed; here every failure has its own code.
  if (kind === 'Unknown') t.not(error.kind, 'Internal', where);
  else t.is(error.kind as string, kind, where);
}

function checkFiles(
  t: ExecutionContext,
  files: ReadonlyMap<string, Uint8Array>,
  recorded: Record<string, string | null>,
): void {
  t.deepEqual([...files.keys()].sort(), Object.keys(recorded).sort(), 'the names of the final files');
  for (const [path, base64] of Object.entries(recorded)) {
    const bytes = files.get(path) ?? new Uint8Array();
    // A timestamp is the moment of the recording: only that it is one can be compared.
    if (base64 === null) t.false(Number.isNaN(Date.parse(new TextDecoder().decode(bytes))), path);
    else t.is(Buffer.from(bytes).toString('base64'), base64, path);
  }
}

async function perform(subject: TraceSubject, step: TraceStep): Promise<unknown> {
  const { store } = subject;
  const id = step.id as ImageId;
  switch (step.op) {
    case 'create':
      return store.create(new TextEncoder().encode(step.config));
    case 'get':
      return factsOf(store, id);
    case 'delete':
      return (await store.delete(id)).map(({ chainId }) => chainId).sort();
    case 'search':
      return store.search(step.term as string);
    case 'setParent':
      return store.setParent(id, step.parent as ImageId);
    case 'getParent':
      return store.getParent(id);
    case 'setLastUpdated':
      return store.setLastUpdated(id);
    case 'getLastUpdated':
      return { isZero: store.getLastUpdated(id) === undefined };
    case 'setBuiltLocally':
      return store.setBuiltLocally(id);
    case 'isBuiltLocally':
      return store.isBuiltLocally(id);
    case 'children':
      return store.children(id).sort();
    case 'heads':
      return [...store.heads().keys()].sort();
    case 'map':
      return [...store.map().keys()].sort();
    case 'len':
      return store.len();
    case 'reopen':
      await subject.reopen();
      return [...subject.store.map().keys()].sort();
    default:
      throw new Error(`the trace has an operation that this test does not know: ${step.op}`);
  }
}

function factsOf(store: Store, id: ImageId): unknown {
  const image = store.get(id);
  return {
    marshalled: new TextDecoder().decode(image.marshalJSON()),
    imageId: image.imageID(),
    chainId: image.rootFS.chainID(),
    os: image.operatingSystem('linux'),
    parent: image.parent,
  };
}
