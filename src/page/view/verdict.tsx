import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { countText, printable, sizeText } from '../../model/texts.js';
import { systemTimeZone, zoneName } from '../../model/time-zone.js';
import { parseAddress } from '../address.js';
import type { Damage } from '../reading.js';
import type { Ask, Continuity, Overview, SeenHead, Signature } from '../questions.js';
import { linkTo, type Progress, useAnswer } from './page-context.js';
import { pinnedKey, rememberHead, rememberKey, seenHead } from './pinned.js';
import { dayAndTime } from './times.js';

interface VerdictProps {
  readonly ask: Ask;
  readonly overview: Overview | undefined;
  readonly progress: Progress;
  readonly failure: string | undefined;
}

/** What re-hashing the log found, before all else. */
export function Verdict({ ask, overview, progress, failure }: VerdictProps): JSX.Element {
  const [pasted, setPasted] = useState<string>();
  const origin = overview?.origin;
  // Read once: a key that is remembered now was not there before.
  const pinned = useMemo(() => (origin === undefined ? undefined : pinnedKey(origin)), [origin]);
  const key = pasted ?? pinned ?? overview?.key;
  const { answer: signature } = useAnswer(`${overview?.checkpoint} ${key}`, () => ask('signature', { key }));
  const seen = useMemo(() => (origin === undefined ? undefined : seenHead(origin)), [origin]);
  const head = overview?.verdict;
  const { answer: continuity } = useAnswer(`${head?.size} ${head?.root}`, () =>
    seen === undefined || head === undefined || head.damage !== undefined
      ? Promise.resolve('continues' as const)
      : ask('continuity', seen),
  );
  useEffect(() => {
    if (origin === undefined || signature?.state !== 'valid') return;
    // The first key that is seen stays the one to check by.
    if (key !== undefined) rememberKey(origin, key);
    if (head !== undefined && head.damage === undefined && continuity === 'continues') rememberHead(origin, head);
  }, [signature, key, head?.root, continuity]);
  if (failure !== undefined) {
    return (
      <Banner tone="bad" title="This log cannot be read">
        {printable(failure)}
      </Banner>
    );
  }
  if (overview?.verdict === undefined || signature === undefined || continuity === undefined) {
    return <Reading progress={progress} />;
  }
  const { verdict } = overview;
  const keyFrom = pasted !== undefined ? 'given' : pinned !== undefined ? 'pinned' : overview.source;
  return (
    <>
      <Found {...{ overview, verdict, signature, keyFrom, continuity, seen, progress }} />
      <dl class="facts">
        <Fact name="Log">{printable(overview.origin)}</Fact>
        <Fact name="Events">{verdict.size.toLocaleString('en')}</Fact>
        <Fact name="Root">
          <code>{verdict.root}</code>
        </Fact>
        <Fact name="Last event">{overview.range === undefined ? 'none' : timeText(overview.range.to)}</Fact>
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
      {overview.leftOut !== undefined && overview.leftOut.contents > 0 && (
        <p class="note">
          {countText(overview.leftOut.contents, 'document')} of images (configs and manifests) did not fit into this
          file: it may have {sizeText(overview.leftOut.limitBytes)}.
        </p>
      )}
      {verdict.unread !== undefined && (
        <p class="note">
          Event {verdict.unread.seq} is sound, but this page cannot read it: {printable(verdict.unread.why)}. What came
          after it is not shown.
        </p>
      )}
      <KeyForm onKey={setPasted} />
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

interface FoundProps {
  readonly overview: Overview;
  readonly verdict: NonNullable<Overview['verdict']>;
  readonly signature: Signature;
  readonly keyFrom: KeyFrom;
  readonly continuity: Continuity;
  readonly seen: SeenHead | undefined;
  readonly progress: Progress;
}

function Found({ overview, verdict, signature, keyFrom, continuity, seen, progress }: FoundProps): JSX.Element {
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
  if (continuity === 'shorter' && overview.source === 'server') {
    return (
      <Banner tone="bad" title="The log is shorter than the one you saw">
        This browser verified {seen?.size.toLocaleString('en')} events of it before: an older copy was put in its place.{' '}
        {work}.
      </Banner>
    );
  }
  if (signature.state === 'valid') {
    // A key that came with the log proves only that both are of one source.
    const isTrusted = keyFrom === 'given' || keyFrom === 'pinned';
    return (
      <Banner
        tone="good"
        title={isTrusted ? 'Verified: nobody has edited this log' : 'Verified by the key that came with it'}
      >
        {work}. They lead to the root that {printable(signature.name)} signed.
        {!isTrusted && ' To know that nobody edited it, check by a key that you have from elsewhere.'}
      </Banner>
    );
  }
  const why =
    signature.state === 'none'
      ? 'nobody signed it: compare its root with one that you kept'
      : `its signature was not checked: ${signature.why}`;
  return (
    <Banner tone="calm" title="Whole, but not signed for you">
      {work}. They lead to the root of the checkpoint, but {why}.
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
