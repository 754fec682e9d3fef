import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { countText, printable, sizeText } from '../../model/texts.js';
import { systemTimeZone, zoneName } from '../../model/time-zone.js';
import { parseAddress } from '../address.js';
import type { Damage } from '../reading.js';
import type { Ask, Evidence, Overview, SeenHead, Signature } from '../questions.js';
import { linkTo, type Progress, useAnswer } from './page-context.js';
import { pinnedKey, rememberHead, rememberKey, seenHead } from './pinned.js';
import { dayAndTime } from './times.js';

interface VerdictProps {
  readonly ask: Ask;
  readonly overview: Overview | undefined;
  /** Changes whenever more was read. */
  readonly version: number;
  readonly progress: Progress;
  readonly failure: string | undefined;
  /** When the document was made; undefined for a server. */
  readonly madeAt: number | undefined;
}

/** What was found by which key: of one moment, as a later key must not stand beside an earlier finding. */
interface Finding extends Evidence {
  readonly keyFrom: KeyFrom;
  readonly seen: SeenHead | undefined;
}

/** What re-hashing the log found, before all else. */
export function Verdict({ ask, overview, version, progress, failure, madeAt }: VerdictProps): JSX.Element {
  const [pasted, setPasted] = useState<string>();
  const origin = overview?.origin;
  // Read once: a key that is remembered now was not there before.
  const pinned = useMemo(() => (origin === undefined ? undefined : pinnedKey(origin)), [origin]);
  const key = pasted ?? pinned?.key ?? overview?.key;
  const isGiven = pasted !== undefined || pinned?.isGiven === true;
  const seen = useMemo(() => (key === undefined ? undefined : seenHead(key)), [key]);
  const { answer: found } = useAnswer(`${version} ${origin} ${key}`, async (): Promise<Finding | undefined> => {
    if (overview === undefined) return undefined;
    const keyFrom = isGiven ? 'given' : pinned !== undefined ? 'pinned' : overview.source;
    return { ...(await ask('evidence', { key, seen })), keyFrom, seen };
  });
  const head = found?.verdict;
  useEffect(() => {
    if (origin === undefined || key === undefined || found?.signature.state !== 'valid') return;
    if (found.signature.key !== key) return;
    rememberKey(origin, { key, isGiven });
    if (head !== undefined && head.damage === undefined && found.continuity === 'continues') rememberHead(key, head);
  }, [found]);
  if (failure !== undefined && head === undefined) {
    return (
      <Banner tone="bad" title="This log cannot be read">
        {printable(failure)}
      </Banner>
    );
  }
  if (found === undefined || head === undefined) return <Reading progress={progress} />;
  return (
    <>
      <Found found={found} verdict={head} progress={progress} />
      {failure !== undefined && (
        <p class="failure" role="alert">
          What came after event {head.size} is not here: {printable(failure)}.
        </p>
      )}
      <Facts found={found} verdict={head} madeAt={madeAt} />
      <KeyForm onKey={setPasted} />
    </>
  );
}

interface FactsProps {
  readonly found: Finding;
  readonly verdict: NonNullable<Overview['verdict']>;
  readonly madeAt: number | undefined;
}

function Facts({ found, verdict, madeAt }: FactsProps): JSX.Element {
  const { origin, range, signature, keyFrom, leftOut } = found;
  return (
    <>
      <dl class="facts">
        <Fact name="Log">{printable(origin)}</Fact>
        <Fact name="Events">{verdict.size.toLocaleString('en')}</Fact>
        <Fact name="Root">
          <code>{verdict.root}</code>
        </Fact>
        <Fact name="Time of the checkpoint">
          {range === undefined ? 'none' : `${timeText(range.to)}, that of event ${range.last}: a checkpoint has no own`}
          {madeAt !== undefined && `; this file is of ${timeText(madeAt)}`}
        </Fact>
        <Fact name="Signature">
          <SignatureText {...{ signature, keyFrom }} />
        </Fact>
      </dl>
      {verdict.leftOut > 0 && (
        <p class="note">
          Only the hashes of the first {verdict.leftOut.toLocaleString('en')} events are in this file: it shows what
          happened from event {verdict.leftOut + 1} on.
        </p>
      )}
      {leftOut !== undefined && leftOut.contents > 0 && (
        <p class="note">
          {countText(leftOut.contents, 'document')} of images (configs and manifests) did not fit into this file: it may
          have {sizeText(leftOut.limitBytes)}.
        </p>
      )}
      {verdict.unread !== undefined && (
        <p class="note">
          Event {verdict.unread.seq} is sound, but this page cannot read it: {printable(verdict.unread.why)}. What came
          after it is not shown.
        </p>
      )}
    </>
  );
}

function timeText(timeMs: number): string {
  const zone = systemTimeZone();
  return `${dayAndTime(timeMs, zone)} ${zoneName(timeMs, zone)}`;
}

function Reading({ progress: { done, total } }: { readonly progress: Progress }): JSX.Element {
  return (
    <Banner tone="calm" title="Checking the log …">
      {total > 0 && (
        <>
          <progress max={total} value={done} aria-label="Records hashed" /> {done.toLocaleString('en')} of{' '}
          {total.toLocaleString('en')} records
        </>
      )}
    </Banner>
  );
}

interface FoundProps extends Omit<FactsProps, 'madeAt'> {
  readonly progress: Progress;
}

function Found({ found, verdict, progress }: FoundProps): JSX.Element {
  const { signature, keyFrom, continuity, seen, source } = found;
  const { damage, hashed } = verdict;
  const work = `${countText(hashed, 'record')} re-hashed in this browser in ${Math.max(1, Math.round(progress.milliseconds ?? 0))} ms`;
  if (damage !== undefined) return <Damaged damage={damage} work={work} />;
  if (signature.state === 'invalid') {
    return (
      <Banner tone="bad" title="The signature is wrong">
        {printable(signature.why)}. {work}; they match the checkpoint, but its signature does not.
      </Banner>
    );
  }
  if (continuity === 'another') {
    return (
      <Banner tone="bad" title="This is another history than the one you saw">
        Its first {seen?.size.toLocaleString('en')} events are not those that this browser verified before. {work}.
      </Banner>
    );
  }
  // A file may be of any day; a server has the whole log.
  if (continuity === 'shorter' && source === 'server') {
    return (
      <Banner tone="bad" title="The log is shorter than the one you saw">
        This browser verified {seen?.size.toLocaleString('en')} events of it before: an older copy was put in its place.{' '}
        {work}.
      </Banner>
    );
  }
  const earlier =
    continuity === 'shorter' ? ` This browser has seen ${seen?.size.toLocaleString('en')} events of it.` : '';
  if (signature.state === 'valid') {
    return (
      <Banner tone="good" title={VERIFIED[keyFrom]}>
        {work}. They lead to the root that {printable(signature.name)} signed.{earlier}
        {keyFrom !== 'given' && ' To know that nobody edited it, check by a key that you have from elsewhere.'}
      </Banner>
    );
  }
  const why =
    signature.state === 'none'
      ? 'nobody signed it: compare its root with one that you kept'
      : `its signature was not checked: ${signature.why}`;
  return (
    <Banner tone="calm" title="Whole, but not signed for you">
      {work}. They lead to the root of the checkpoint, but {why}.{earlier}
    </Banner>
  );
}

function Damaged({
  damage: { seq, what, others },
  work,
}: {
  readonly damage: Damage;
  readonly work: string;
}): JSX.Element {
  if (seq === undefined) {
    return (
      <Banner tone="bad" title="This log was changed">
        {work}: {what}. Which record is wrong cannot be told. Believe nothing below.
      </Banner>
    );
  }
  return (
    <Banner tone="bad" title={`Event ${seq} is not the one that was recorded`}>
      The first wrong record is that of event {seq}: {printable(what)}
      {others === 0 ? '' : `; ${countText(others, 'later record')} too`}. {work}; they do not lead to the root of the
      checkpoint. Believe nothing from event {seq} on.{' '}
      {seq > 1 && <a href={linkTo(parseAddress(location.hash), { at: `${seq - 1}` })}>Show the log before it</a>}
    </Banner>
  );
}

interface BannerProps {
  readonly tone: 'good' | 'calm' | 'bad';
  readonly title: string;
  readonly children: preact.ComponentChildren;
}

const SIGNS = { good: '✓', calm: '•', bad: '✕' } as const;

function Banner({ tone, title, children }: BannerProps): JSX.Element {
  return (
    <div class={`verdict ${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      <h1>
        <span aria-hidden="true">{SIGNS[tone]} </span>
        {title}
      </h1>
      <p>{children}</p>
    </div>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A key that came with the log proves only that both are of one source, at the first time and later. */
const VERIFIED = {
  given: 'Verified: nobody has edited this log',
  pinned: 'Verified by the key that came with it before',
  document: 'Verified by the key that came with it',
  server: 'Verified by the key that came with it',
} as const;

const KEY_FROM = {
  given: 'the key that you gave',
  pinned: 'the key that this browser saw first',
  document: 'the key in this file: whoever made the file could have chosen it',
  server: 'the key that the server gave',
} as const;

type KeyFrom = keyof typeof KEY_FROM;

function SignatureText({
  signature,
  keyFrom,
}: {
  readonly signature: Signature;
  readonly keyFrom: KeyFrom;
}): JSX.Element {
  if (signature.state === 'valid') return <>valid, by {KEY_FROM[keyFrom]}</>;
  if (signature.state === 'none') return <>none</>;
  return (
    <>
      {signature.state === 'invalid' ? 'wrong' : 'not checked'}: {printable(signature.why)}
    </>
  );
}

function KeyForm({ onKey }: { readonly onKey: (key: string) => void }): JSX.Element {
  return (
    <details class="key-form">
      <summary>Check by a key that you have</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const key = new FormData(event.currentTarget).get('key');
          if (typeof key === 'string' && key.trim() !== '') onKey(key.trim());
        }}
      >
        <label>
          Verifier key{' '}
          <input name="key" placeholder="example.com/images+33d7b496+AeHTu4Q3…" autocomplete="off" spellcheck={false} />
        </label>
        <button type="submit">Check</button>
      </form>
    </details>
  );
}
