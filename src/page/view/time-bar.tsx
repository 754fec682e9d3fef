import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { thrownText } from '../../errors.js';
import { UTC } from '../../model/time-zone.js';
import type { Moment } from '../questions.js';
import { asOfText, ownZone, usePage, useAnswer } from './page-context.js';
import { ticksBetween } from './times.js';

/** Places of the slider: finer than any screen. */
const PLACES = 10_000;
/** Pieces in which moves are counted: a mark each. */
const MARKS = 400;
const MOST_TICKS = 7;

/** Which way a key steps: over transactions, or over moves of tags. */
const STEP_OF_KEY: Readonly<Record<string, readonly [by: 1 | -1, over?: 'moves']>> = {
  ArrowLeft: [-1],
  ArrowDown: [-1],
  ArrowRight: [1],
  ArrowUp: [1],
  PageDown: [-1, 'moves'],
  PageUp: [1, 'moves'],
};

/** The moment as of which everything below is; stays in view. */
export function TimeBar(): JSX.Element {
  const page = usePage();
  const { ask, moment, isNow, end, shown, show, axis, overview } = page;
  const span = axis.to - axis.from;
  const place = isNow ? PLACES : Math.round(((moment.time - axis.from) / span) * PLACES);
  const go = ({ seq }: Moment): void => show({ at: seq >= (overview.range?.last ?? 0) ? undefined : `${seq}` });
  const step = (by: 1 | -1, movesOf?: readonly string[] | 'all'): void =>
    void ask('step', { seq: moment.seq, by, movesOf }).then(go);
  const moves = shown.ref === undefined ? 'all' : [shown.ref];
  const slide = (value: number, replaces: boolean): void => {
    const at = value >= PLACES ? undefined : new Date(axis.from + (value / PLACES) * span).toISOString();
    show({ at }, { replaces });
  };
  const text = asOfText(page);
  const { first = 1, last = 0 } = overview.range ?? {};
  const where =
    moment.seq < first
      ? `before event ${first} of ${last}`
      : `${isNow && end !== 'now' ? `where this ${end} ends, ` : ''}after event ${moment.seq} of ${last}`;
  const wrong = overview.verdict?.damage;
  const isWrong = wrong !== undefined && moment.seq >= (wrong.seq ?? 0);
  const whose = shown.ref === undefined ? 'of a tag' : 'of this tag';
  return (
    <section class="time-bar" aria-label="Moment">
      <div class="now">
        <div class="moment">
          <h2>
            As of <output>{text}</output>
          </h2>
          <p class="quiet">{where}</p>
          {isWrong && (
            <p class="failure">
              ✕ {wrong.seq === undefined ? 'a record' : `event ${wrong.seq}`} was changed: nothing here can be believed
            </p>
          )}
        </div>
        <div class="track">
          <Marks />
          <input
            type="range"
            min={0}
            max={PLACES}
            value={place}
            aria-label="Moment"
            aria-valuetext={`${text}, ${where}`}
            onInput={(event) => slide(Number(event.currentTarget.value), true)}
            onChange={(event) => slide(Number(event.currentTarget.value), false)}
            onKeyDown={(event) => {
              const [by, movesOf] = STEP_OF_KEY[event.key] ?? [];
              const isEnd = event.key === 'Home' || event.key === 'End';
              if (by === undefined && !isEnd) return;
              event.preventDefault();
              if (by !== undefined) step(by, movesOf === undefined ? undefined : moves);
              else show({ at: event.key === 'End' ? undefined : `${overview.range?.first ?? 0}` });
            }}
          />
          <Ticks />
        </div>
      </div>
      <div class="controls">
        <button type="button" onClick={() => step(-1, moves)} disabled={moment.seq < (overview.range?.first ?? 1)}>
          ‹ Previous change<span class="hidden"> {whose}</span>
        </button>
        <button type="button" onClick={() => step(1, moves)} disabled={isNow}>
          Next change<span class="hidden"> {whose}</span> ›
        </button>
        <button type="button" onClick={() => show({ at: undefined })} disabled={isNow}>
          {end === 'now' ? 'Now' : 'Newest'}
        </button>
        <MomentForm />
        <ZoneSwitch />
        <SectionNav />
      </div>
    </section>
  );
}

const SECTIONS = [
  ['references-title', 'References'],
  ['events-title', 'Events'],
  ['compare-title', 'Compare'],
  ['audit-title', 'For auditors'],
] as const;

/** Leads to the sections. No links: the address after its # says what is shown. */
function SectionNav(): JSX.Element {
  return (
    <nav class="sections" aria-label="Sections">
      {SECTIONS.map(([id, title]) => (
        <button
          key={id}
          type="button"
          onClick={() => {
            const heading = document.getElementById(id);
            heading?.scrollIntoView();
            (heading?.closest('summary') ?? heading)?.focus({ preventScroll: true });
          }}
        >
          {title}
        </button>
      ))}
    </nav>
  );
}

function Marks(): JSX.Element {
  const { ask, axis, overview, shown, timeZone, version } = usePage();
  const { answer: all = [] } = useAnswer(`${version} ${axis.to}`, () => ask('marks', { ...axis, pieces: MARKS }));
  const { answer: own = [] } = useAnswer(`${version} ${axis.to} ${shown.ref}`, () =>
    shown.ref === undefined ? Promise.resolve([]) : ask('marks', { ...axis, pieces: MARKS, references: [shown.ref] }),
  );
  const wrong = overview.verdict?.damage?.seq;
  const { answer: wrongAt } = useAnswer(`${version} ${wrong}`, () =>
    wrong === undefined
      ? Promise.resolve(undefined)
      : ask('moment', { text: `@${wrong}`, nowMs: Date.now(), timeZone }).then(({ time }) => time),
  );
  const most = all.reduce((a, b) => Math.max(a, b), 1);
  const bars = (counts: readonly number[], kind: string): JSX.Element[] =>
    counts.flatMap((count, at) => {
      if (count === 0) return [];
      const height = 30 + 70 * (Math.log1p(count) / Math.log1p(most));
      return [
        <rect class={kind} x={`${(100 * at) / MARKS}%`} width="2" y={`${100 - height}%`} height={`${height}%`} />,
      ];
    });
  return (
    <svg class="marks" aria-hidden="true">
      {bars(all, 'mark')}
      {bars(own, 'mark own')}
      {wrongAt !== undefined && (
        <rect
          class="mark wrong"
          x={`${(100 * (wrongAt - axis.from)) / (axis.to - axis.from)}%`}
          width="3"
          height="100%"
        />
      )}
    </svg>
  );
}

/** The axis of time, below the slider and lanes. */
export function Ticks(): JSX.Element {
  const { axis, timeZone } = usePage();
  return (
    <div class="ticks" aria-hidden="true">
      {ticksBetween(axis.from, axis.to, { timeZone, most: MOST_TICKS }).map(({ time, text }) => (
        <span style={{ left: `${(100 * (time - axis.from)) / (axis.to - axis.from)}%` }}>{text}</span>
      ))}
    </div>
  );
}

function MomentForm(): JSX.Element {
  const { ask, show, timeZone } = usePage();
  const [failure, setFailure] = useState<string>();
  const submit = (text: string): void => {
    ask('moment', { text, nowMs: Date.now(), timeZone }).then(
      ({ time }) => {
        setFailure(undefined);
        const isEvent = /^[@#]?\d+$/.test(text);
        const at = isEvent ? text.replace(/\D/, '') : new Date(time).toISOString();
        show({ at: text === 'now' || time >= Date.now() ? undefined : at });
      },
      (error: unknown) => setFailure(thrownText(error)),
    );
  };
  return (
    <form
      class="go"
      onSubmit={(event) => {
        event.preventDefault();
        const text = new FormData(event.currentTarget).get('at');
        if (typeof text === 'string' && text.trim() !== '') submit(text.trim());
      }}
    >
      <label>
        <span class="hidden">Go to a moment</span>
        <input name="at" placeholder="last tuesday, 2h, 2026-11-24 14:05, @27" autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit">Go</button>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
    </form>
  );
}

function ZoneSwitch(): JSX.Element {
  const { shown, show } = usePage();
  const own = ownZone();
  if (own === UTC) return <span class="quiet">times in UTC</span>;
  return (
    <label class="zone">
      <span class="hidden">Time zone</span>
      <select
        value={shown.zone ?? ''}
        onChange={(event) => show({ zone: event.currentTarget.value || undefined }, { replaces: true })}
      >
        <option value="">{own}</option>
        <option value="utc">UTC</option>
      </select>
    </label>
  );
}
