import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { countText, printable, sizeText } from '../../model/texts.js';
import { zoneName } from '../../model/time-zone.js';
import type { Shown } from '../address.js';
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
  /** Whether a server says that it shows the past. */
  readonly isPast: boolean;
  readonly shown: Shown;
  readonly timeZone: string;
}

/** What was found by which key: of one moment, as a later key must not stand beside an earlier finding. */
interface Finding extends Evidence {
  readonly keyFrom: KeyFrom;
  readonly seen: SeenHead | undefined;
}

/** What re-hashing the log found, before all else. */
export function Verdict(props: VerdictProps): JSX.Element {
  const { ask, overview, version, progress, failure } = props;
  const [pasted, setPasted] = useState<string>();
  const origin = overview?.origin;
  // Read once: a key that is remembered now was not there before.
  const pinned = useMemo(() => (origin === undefined ? undefined : pinnedKey(origin)), [origin]);
  const key = pasted ?? pinned?.key ?? overview?.key;
  const isGiven = pasted !== undefined || pinned?.isGiven === true;
  const seen = useMemo(() => (key === undefined ? undefined : seenHead(key)), [key]);
  const { answer: found } = useAnswer(
    `${version} ${origin} ${isGiven} ${key}`,
    async (): Promise<Finding | undefined> => {
      if (overview === undefined) return undefined;
      const keyFrom = isGiven ? 'given' : pinned !== undefined ? 'pinned' : overview.source;
      return { ...(await ask('evidence', { key, seen })), keyFrom, seen };
    },
  );
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
  const facts = (
    <>
      <Facts {...props} found={found} verdict={head} />
      {found.signature.state !== 'none' && <KeyForm onKey={setPasted} />}
    </>
  );
  return (
    <>
      <Found {...props} found={found} verdict={head} facts={facts} />
      {failure !== undefined && (
        <p class="failure" role="alert">
          What came after event {head.size} is not here: {printable(failure)}.
        </p>
      )}
      <Notes found={found} verdict={head} />
    </>
  );
}

interface FactsProps extends Pick<VerdictProps, 'madeAt' | 'timeZone'> {
  readonly found: Finding;
  readonly verdict: NonNullable<Overview['verdict']>;
}

function Facts({ found, verdict, madeAt, timeZone }: FactsProps): JSX.Element {
  const { origin, range, signature, keyFrom } = found;
  const timeText = (timeMs: number): string => `${dayAndTime(timeMs, timeZone)} ${zoneName(timeMs, timeZone)}`;
  return (
    <dl class="facts">
      <Fact name="Log">{printable(origin)}</Fact>
      <Fact name="Events">{verdict.size.toLocaleString('en')}</Fact>
      <Fact name="Root">
        <code>{verdict.root}</code>
      </Fact>
      {/* A checkpoint has no time of its own. */}
      <Fact name="Checkpoint after">
        {verdict.size === 0 ? 'no event' : `event ${verdict.size}`}
        {range?.last === verdict.size && `, ${timeText(range.to)}`}
      </Fact>
      {madeAt !== undefined && <Fact name="File written">{timeText(madeAt)}</Fact>}
      <Fact name="Signature">
        <SignatureText {...{ signature, keyFrom }} />
      </Fact>
    </dl>
  );
}

/** What this page lacks, and why. */
function Notes({ found: { leftOut }, verdict }: Pick<FactsProps, 'found' | 'verdict'>): JSX.Element {
  return (
    <>
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

interface FoundProps
  extends Pick<VerdictProps, 'progress' | 'shown' | 'isPast'>,
    Pick<FactsProps, 'found' | 'verdict'> {
  readonly facts: JSX.Element;
}

function Found({ found, verdict, progress, shown, isPast, facts }: FoundProps): JSX.Element {
  const { signature, keyFrom, continuity, seen, source } = found;
  const { damage, hashed } = verdict;
  const work = `${countText(hashed, 'record')} re-hashed in this browser in ${Math.max(1, Math.round(progress.milliseconds ?? 0))} ms`;
  if (damage !== undefined) return <Damaged {...{ damage, work, shown, facts }} />;
  if (signature.state === 'invalid') {
    return (
      <Banner tone="bad" title={REFUSED_BY[keyFrom]} facts={facts}>
        {printable(signature.why)}. {work}: they lead to the root of the checkpoint, but that is not signed as it should
        be.{' '}
        {(keyFrom === 'pinned' || keyFrom === 'given') &&
          'If the log has another key now, check by that one, from elsewhere.'}
      </Banner>
    );
  }
  if (continuity === 'another') {
    return (
      <Banner tone="bad" title="This is another history than the one you saw" facts={facts}>
        Its first {seen?.size.toLocaleString('en')} events are not those that this browser verified before. {work}.
      </Banner>
    );
  }
  // A file may be of any day, and a server of the past says so; another one has the whole log.
  if (continuity === 'shorter' && source === 'server' && !isPast) {
    return (
      <Banner tone="bad" title="The log is shorter than the one you saw" facts={facts}>
        This browser verified {seen?.size.toLocaleString('en')} events of it before: an older copy was put in its place.{' '}
        {work}.
      </Banner>
    );
  }
  const earlier =
    continuity === 'shorter' ? ` This browser has seen ${seen?.size.toLocaleString('en')} events of it.` : '';
  if (signature.state === 'valid') {
    return (
      <Banner tone={keyFrom === 'given' ? 'good' : 'fair'} title={VERIFIED_BY[keyFrom]} facts={facts}>
        {work}. They lead to the root that {printable(signature.name)} signed.{earlier} <Trust found={found} />
      </Banner>
    );
  }
  const how = source === 'server' ? 'start the server with --key' : 'write the page with --key';
  return signature.state === 'none' ? (
    <Banner tone="calm" title="Whole, but nobody signed it" facts={facts}>
      {work}. They lead to the root of the checkpoint, but without a signature anybody can write another history. To
      know that nobody edited it, compare the root with one that you kept, or {how}.{earlier}
    </Banner>
  ) : (
    <Banner tone="calm" title="Whole, but its signature was not checked" facts={facts}>
      {work}. They lead to the root of the checkpoint. Who signed it is not known: {printable(signature.why)}.{earlier}
    </Banner>
  );
}

const VERIFIED_BY = {
  given: 'Verified: nobody has edited this log',
  pinned: 'Verified by the key that this browser saw first',
  document: 'Verified by the key that came with it',
  server: 'Verified by the key that came with it',
} as const;

const REFUSED_BY = {
  given: 'Not signed by the key that you gave',
  pinned: 'Not signed by the key that this browser saw first',
  document: 'The signature is wrong',
  server: 'The signature is wrong',
} as const;

/** What the verdict rests on: a key that came with the log proves only that both are of one source. */
function Trust({ found: { keyFrom, continuity, seen } }: Pick<FoundProps, 'found'>): JSX.Element | null {
  if (keyFrom === 'given') return null;
  if (keyFrom === 'pinned') {
    return (
      <>
        {seen !== undefined && continuity === 'continues'
          ? `${countText(seen.size, 'event')} of it are the ones that this browser verified before. `
          : ''}
        To know that nobody edited the log before that, check by a key that you have from elsewhere.
      </>
    );
  }
  const who = keyFrom === 'document' ? 'Who made this file' : 'The server';
  return (
    <>
      {who} could have chosen the key too: to know that nobody edited the log, check by a key that you have from
      elsewhere.
    </>
  );
}

interface DamagedProps extends Pick<FoundProps, 'shown' | 'facts'> {
  readonly damage: Damage;
  readonly work: string;
}

function Damaged({ damage: { seq, what, others }, work, shown, facts }: DamagedProps): JSX.Element {
  if (seq === undefined) {
    return (
      <Banner tone="bad" title="This log was changed" facts={facts}>
        {work}: {what}. Which record is wrong cannot be told. Believe nothing below.
      </Banner>
    );
  }
  return (
    <Banner tone="bad" title={`Event ${seq} is not the one that was recorded`} facts={facts}>
      The first wrong record is that of event {seq}: {printable(what)}
      {others === 0 ? '' : `; ${countText(others, 'later record')} too`}. {work}; they do not lead to the root of the
      checkpoint. Believe nothing from event {seq} on.{' '}
      {seq > 1 && <a href={linkTo(shown, { at: `${seq - 1}` })}>Show the log before it</a>}
    </Banner>
  );
}

interface BannerProps {
  /** `good` by a key of the reader's own, `fair` by one that came with the log. */
  readonly tone: 'good' | 'fair' | 'calm' | 'bad';
  readonly title: string;
  readonly children: preact.ComponentChildren;
  readonly facts?: JSX.Element;
}

const SIGNS = { good: '✓', fair: '✓', calm: '•', bad: '✕' } as const;

function Banner({ tone, title, children, facts }: BannerProps): JSX.Element {
  return (
    <header class={`verdict ${tone}`}>
      <div role={tone === 'bad' ? 'alert' : 'status'}>
        <h1>
          <span aria-hidden="true">{SIGNS[tone]} </span>
          {title}
        </h1>
        <p>{children}</p>
      </div>
      {facts}
    </header>
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
  document: 'the key in this file',
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
      <p>
        The verifier key, as <code>imagelog key</code> printed it: from the person who runs the log, and not from where
        this page is from.
      </p>
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
