import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { isDigest } from '../../model/digest.js';
import { countText, printable, shortId, utcText } from '../../model/texts.js';
import type { ActorCount, Move, Removal, Rows } from '../audit.js';
import { type Column, CSV_ROWS, DataTable, eventColumns, TABLE_ROWS } from './data-table.js';
import { Breakable, ImageLink } from './facts.js';
import { linkTo, usePage, useAnswer } from './page-context.js';
import { dayAndTime } from './times.js';

/** Tables for auditors: who moved what in a period, what was deleted or erased and why, who wrote how often. */
export function Audit(): JSX.Element {
  const { shown } = usePage();
  const isAsked = shown.since !== undefined || shown.until !== undefined;
  const [isOpen, setOpen] = useState(isAsked);
  return (
    <section class="audit" aria-labelledby="audit-title">
      <details open={isOpen || isAsked} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <h2 id="audit-title">For auditors</h2>
          <span class="quiet">moves, deletions and erasures, and who wrote, in a period</span>
        </summary>
        {(isOpen || isAsked) && <AuditTables />}
      </details>
    </section>
  );
}

function AuditTables(): JSX.Element {
  const { moment, shown, show, timeZone } = usePage();
  const { since, until, q } = shown;
  const period = { since, until, timeZone, seq: moment.seq };
  return (
    <>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          const data = new FormData(event.currentTarget);
          const given = (name: string): string | undefined => String(data.get(name) ?? '').trim() || undefined;
          show({ q: given('pattern'), since: given('since'), until: given('until') });
        }}
      >
        <label>
          Names
          <input name="pattern" key={q} defaultValue={q} placeholder="*:prod" spellcheck={false} autocomplete="off" />
        </label>
        <label>
          Since
          <input name="since" key={since} defaultValue={since} placeholder="2026-11-01" autocomplete="off" />
        </label>
        <label>
          Until
          <input name="until" key={until} defaultValue={until} placeholder="the moment above" autocomplete="off" />
        </label>
        <button type="submit">Show</button>
      </form>
      <p class="print-only note">
        {since === undefined ? 'From the beginning of the log' : `Since ${printable(since)}`},{' '}
        {until === undefined ? 'until the moment above' : `until ${printable(until)}`}.
      </p>
      <Moves {...period} text={q ?? ''} />
      <Removals {...period} />
      <Actors {...period} />
    </>
  );
}

interface PeriodProps {
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly timeZone: string;
  readonly seq: number;
}

interface Listed<Answer> {
  readonly answer: Answer | undefined;
  readonly failure: string | undefined;
  readonly limit: number;
  readonly readMore: () => void;
}

/** Asks for the rows of a table, more of them with each step. */
function useRows<Answer>(asked: object, question: (limit: number) => Promise<Answer>): Listed<Answer> {
  const { version } = usePage();
  const [limit, setLimit] = useState(TABLE_ROWS);
  const { answer, failure } = useAnswer(`${version} ${limit} ${JSON.stringify(asked)}`, () => question(limit));
  return { answer, failure, limit, readMore: () => setLimit(limit * 2) };
}

function Failure({ text }: { readonly text: string | undefined }): JSX.Element | null {
  if (text === undefined) return null;
  return (
    <p class="failure" role="alert">
      {printable(text)}
    </p>
  );
}

/** `12 moves in events 3 to 90`. */
function countNote({ count, range }: Rows<unknown>, noun: string): string {
  const where = range.last < range.first ? 'no events' : `events ${range.first} to ${range.last}`;
  return `${countText(count, noun)} in ${where}`;
}

function Moves({ text, ...period }: PeriodProps & { readonly text: string }): JSX.Element | null {
  const page = usePage();
  const { ask, shown } = page;
  const asked = { ...period, text };
  const question = (limit: number): Promise<Rows<Move> & { readonly readAs: readonly string[] }> =>
    ask('auditMoves', { ...asked, nowMs: Date.now(), limit });
  const { answer, failure, readMore } = useRows(asked, question);
  if (answer === undefined) return <Failure text={failure} />;
  const columns: Column<Move>[] = [
    {
      title: 'Name',
      text: ({ name }) => name,
      cell: ({ name, reference }) => (
        <a href={linkTo(shown, { ref: reference })}>
          <Breakable text={name} />
        </a>
      ),
    },
    {
      title: 'Was',
      text: ({ before }) => before,
      cell: ({ before }) => before && <ImageLink digest={before} />,
      isShort: true,
    },
    {
      title: 'Became',
      text: ({ after }) => after,
      cell: ({ after }) => (after === undefined ? 'removed' : <ImageLink digest={after} />),
      isShort: true,
    },
    ...eventColumns<Move>(page, ({ event }) => event),
  ];
  const what = text === '' ? 'Moves of all names' : `Moves of ${printable(text)}`;
  return (
    <>
      <DataTable
        caption={what}
        note={`${countNote(answer, 'move')}${answer.readAs.map((each) => ` · ${printable(each)}`).join('')}`}
        columns={columns}
        rows={answer.rows}
        count={answer.count}
        readMore={readMore}
        allRows={async () => (await question(CSV_ROWS)).rows}
        keyOf={({ event }) => event.seq}
        file="moves"
      />
      {answer.count === 0 && <p class="note">{what}: none in this period.</p>}
    </>
  );
}

function Removals(period: PeriodProps): JSX.Element | null {
  const page = usePage();
  const { ask } = page;
  const question = (limit: number): Promise<Rows<Removal>> =>
    ask('auditRemovals', { ...period, nowMs: Date.now(), limit });
  const { answer, failure, readMore } = useRows(period, question);
  if (answer === undefined) return failure === undefined ? null : <Failure text={failure} />;
  const columns: Column<Removal>[] = [
    { title: 'What', text: ({ what }) => what, isShort: true },
    {
      title: 'Which',
      text: ({ key }) => key,
      cell: ({ key }) => (isDigest(key) ? <code title={key}>{shortId(key)}</code> : printable(key)),
    },
    ...eventColumns<Removal>(page, ({ event }) => event),
  ];
  return (
    <>
      <DataTable
        caption="Deletions and erasures"
        note={countNote(answer, 'removal')}
        columns={columns}
        rows={answer.rows}
        count={answer.count}
        readMore={readMore}
        allRows={async () => (await question(CSV_ROWS)).rows}
        keyOf={({ event }) => event.seq}
        file="removals"
      />
      {answer.count === 0 && <p class="note">Nothing was deleted or erased in this period.</p>}
    </>
  );
}

function Actors(period: PeriodProps): JSX.Element | null {
  const { ask, shown, timeZone } = usePage();
  const question = (limit: number): Promise<Rows<ActorCount>> =>
    ask('auditActors', { ...period, nowMs: Date.now(), limit });
  const { answer, readMore } = useRows(period, question);
  if (answer === undefined) return null;
  const columns: Column<ActorCount>[] = [
    {
      title: 'Actor',
      text: ({ actor }) => actor,
      cell: ({ actor }) => <a href={linkTo(shown, { q: actor })}>{printable(actor)}</a>,
    },
    { title: 'Transactions', text: ({ transactions }) => transactions, isNumber: true },
    { title: 'Events', text: ({ events }) => events, isNumber: true },
    { title: 'Moves of names', text: ({ moves }) => moves, isNumber: true },
    {
      title: 'First',
      text: ({ first }) => utcText(first),
      cell: ({ first }) => dayAndTime(first, timeZone),
      isShort: true,
    },
    { title: 'Last', text: ({ last }) => utcText(last), cell: ({ last }) => dayAndTime(last, timeZone), isShort: true },
  ];
  return (
    <DataTable
      caption="Who wrote"
      note={countNote(answer, 'actor')}
      columns={columns}
      rows={answer.rows}
      count={answer.count}
      readMore={readMore}
      allRows={async () => (await question(CSV_ROWS)).rows}
      keyOf={({ actor }) => actor}
      file="actors"
    />
  );
}
