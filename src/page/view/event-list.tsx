import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { familiarReference } from '../../model/reference.js';
import { printable } from '../../model/texts.js';
import type { EventLine } from '../as-of.js';
import type { Events, TransactionLine } from '../questions.js';
import { linkTo, useAnswer, useFocusNext, usePage } from './page-context.js';
import { Why } from './facts.js';
import { dayAndTime } from './times.js';

/** Transactions shown at first, and added by each step. */
const PAGE_LINES = 30;

/** What happened up to the moment, to the chosen reference or to all that was searched for; a line a transaction. */
export function EventList(): JSX.Element {
  const { ask, moment, isNow, version, shown } = usePage();
  const asked = { seq: moment.seq, text: shown.q ?? '', reference: shown.ref, limit: PAGE_LINES };
  const key = `${version} ${JSON.stringify(asked)}`;
  const { answer, failure } = useAnswer(key, () => ask('events', asked));
  const [more, setMore] = useState<Events>();
  useEffect(() => setMore(undefined), [key]);
  const before = (more ?? answer)?.before;
  const { list, focusNext } = useFocusNext<HTMLOListElement>('summary');
  const lines = [...(answer?.transactions ?? []), ...(more?.transactions ?? [])];
  const readMore = (): void => {
    void ask('events', { ...asked, before }).then(({ transactions, before: next }) =>
      setMore({ transactions: [...(more?.transactions ?? []), ...transactions], before: next }),
    );
  };
  const whose =
    shown.ref !== undefined
      ? ` of ${printable(familiarReference(shown.ref))}`
      : shown.q === undefined
        ? ''
        : ` for “${printable(shown.q)}”`;
  return (
    <section class="events" aria-labelledby="events-title">
      <div class="section-head">
        <h2 id="events-title" tabIndex={-1}>
          Events{whose}
        </h2>
        {whose !== '' && <a href={linkTo(shown, { ref: undefined, q: undefined })}>All events</a>}
      </div>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {printable(failure)}
        </p>
      )}
      {answer !== undefined && lines.length === 0 && (
        <p class="note">
          Nothing had happened by then.{' '}
          {!isNow && <a href={linkTo(shown, { at: undefined })}>Go to the end of the log</a>}
        </p>
      )}
      <ol class="transactions" ref={list}>
        {lines.map((line) => (
          <Transaction key={line.first} line={line} />
        ))}
      </ol>
      {before !== undefined && <p class="print-only note">Earlier ones are not on paper.</p>}
      {before !== undefined && (
        <button
          type="button"
          class="more"
          onClick={() => {
            focusNext(lines.length);
            readMore();
          }}
        >
          Show earlier ones
        </button>
      )}
    </section>
  );
}

function Transaction({ line }: { readonly line: TransactionLine }): JSX.Element {
  const { overview, timeZone } = usePage();
  const [isOpen, setIsOpen] = useState(false);
  const { first, seq, time, actor, summary, events, count } = line;
  const wrong = overview.verdict?.damage?.seq;
  const isWrong = wrong !== undefined && wrong >= first && wrong <= seq;
  return (
    <li>
      <details onToggle={(event) => setIsOpen(event.currentTarget.open)}>
        <summary>
          <span class="seq">{seq}</span>
          <time dateTime={new Date(time).toISOString()}>{dayAndTime(time, timeZone)}</time>
          <span class="actor">{printable(actor)}</span>
          <span class={isWrong ? 'what bad' : 'what'}>
            {isWrong && '✕ changed: '}
            {printable(summary)}
            <span class="quiet">
              <Why event={line} />
            </span>
          </span>
        </summary>
        {isOpen && (
          <ol class="event-lines">
            {events.map((event) => (
              <Line key={event.seq} event={event} />
            ))}
          </ol>
        )}
        {count > events.length && <p class="note">… and {count - events.length} more</p>}
      </details>
    </li>
  );
}

function Line({ event }: { readonly event: EventLine }): JSX.Element {
  const { shown } = usePage();
  const { seq, type, summary } = event;
  return (
    <li>
      <a class="seq" href={linkTo(shown, { at: `${seq}` })} title="Show the log as of this event">
        {seq}
      </a>
      <span class="type">{type}</span>
      <span class="did">{printable(summary)}</span>
      <Proof seq={seq} />
    </li>
  );
}

/** The proof of an event: a tick once it was checked up to the root of the checkpoint, and the file to download. */
function Proof({ seq }: { readonly seq: number }): JSX.Element {
  const { ask, version } = usePage();
  const { answer, failure } = useAnswer(`${version} ${seq}`, () => ask('proof', { seq }));
  return (
    <span class="proof">
      {answer !== undefined && <span class="good">✓ checked</span>}
      {failure !== undefined && <span class="bad">✕ {printable(failure)}</span>}
      {answer !== undefined && (
        <button
          type="button"
          onClick={() => save(answer.text, `event-${seq}.tlog-proof`)}
          aria-label={`Download the proof of event ${seq}`}
        >
          proof
        </button>
      )}
    </span>
  );
}

/** Offers a text as a file. */
export function save(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
