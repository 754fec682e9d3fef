import type { JSX } from 'preact';
import type { Digest } from '../../model/digest.js';
import { familiarReference } from '../../model/reference.js';
import { durationText, printable, shortId } from '../../model/texts.js';
import type { EventLine } from '../as-of.js';
import type { ChosenReference as Chosen, ReferenceRow } from '../questions.js';
import { type Column, CSV_ROWS, DataTable, eventColumns } from './data-table.js';
import { ImageLink, Why } from './facts.js';
import { Lane } from './lane.js';
import { asOfText, linkTo, type Page, useAnswer, useFocusBack, usePage } from './page-context.js';
import { Ticks } from './time-bar.js';
import { dayAndTime } from './times.js';

/** Periods shown at first: what is below stays in reach. */
const FIRST_ROWS = 8;

/** The chosen reference: what it pointed at at the moment, in a sentence, and all its periods until then. */
export function ChosenReference({ reference }: { readonly reference: string }): JSX.Element | null {
  const page = usePage();
  const { ask, shown, version } = page;
  const { answer } = useAnswer(
    `${version} ${page.moment.seq} ${page.moment.time} ${page.isNow} ${reference}`,
    async () => ({ ...(await ask('reference', { seq: page.moment.seq, reference })), asOf: page }),
  );
  useFocusBack();
  if (answer === undefined) return null;
  // Of the moment that was answered for, which is not yet the next one.
  const { row, asOf } = answer;
  const name = printable(familiarReference(reference));
  return (
    <article class="chosen-reference" aria-label={name}>
      <div class="card-head">
        <h3>
          {name}
          {row !== undefined && !row.isRemoved && <Points row={row} />}
        </h3>
        <a class="close" href={linkTo(shown, { ref: undefined })} aria-label={`Close ${name}`}>
          Close
        </a>
      </div>
      <p class="sentence">
        <Sentence row={row} asOf={asOf} />
      </p>
      {row !== undefined && (
        <>
          <Lane row={row} />
          <Ticks />
        </>
      )}
      <Periods chosen={answer} asOf={asOf} reference={reference} />
    </article>
  );
}

function Points({ row: { image, target } }: { readonly row: ReferenceRow }): JSX.Element | null {
  const points = image ?? target;
  if (points === undefined) return null;
  return (
    <>
      {' '}
      <span aria-hidden="true">→</span> <ImageLink digest={points} kind={image === undefined ? 'artifact ' : ''} />
    </>
  );
}

interface SentenceProps {
  readonly row: ReferenceRow | undefined;
  readonly asOf: Page;
}

function Sentence({ row, asOf }: SentenceProps): JSX.Element {
  const { timeZone, shown } = usePage();
  const when = asOfText(asOf);
  const isPast = when !== 'now';
  const start = `${when.charAt(0).toUpperCase()}${when.slice(1)}: it `;
  if (row === undefined) {
    return (
      <>
        {start}
        {asOf.overview.range === undefined || asOf.overview.range.first === 1
          ? 'had never been set. '
          : `had not been set since event ${asOf.overview.range.first}, the first that this file has. `}
        {!asOf.isNow && <a href={linkTo(shown, { at: undefined })}>Show it at the end of the log</a>}
      </>
    );
  }
  const { image, target, isRemoved, event } = row;
  const points = image ?? target;
  return (
    <>
      {start}
      {isRemoved || points === undefined ? (
        isPast ? (
          'was removed'
        ) : (
          'is removed'
        )
      ) : (
        <>
          {isPast ? 'pointed at' : 'points at'} <code>{shortId(points)}</code>
        </>
      )}
      , since {dayAndTime(event.time, timeZone)}, by <strong>{printable(event.actor)}</strong>
      <Why event={event} />.
    </>
  );
}

/** What the reference pointed at, from an event until the next one. */
interface PeriodRow {
  readonly points: Digest | undefined;
  readonly until: number | undefined;
  readonly event: EventLine;
}

interface PeriodsProps {
  readonly chosen: Chosen;
  readonly asOf: Page;
  readonly reference: string;
}

function Periods({ chosen: { periods, earlier }, asOf, reference }: PeriodsProps): JSX.Element {
  const page = usePage();
  const { axis, isNow, moment } = asOf;
  const lengthOf = ({ event, until }: PeriodRow): number => (until ?? (isNow ? axis.to : moment.time)) - event.time;
  const [when, ...others] = eventColumns<PeriodRow>(page, ({ event }) => event);
  const columns: Column<PeriodRow>[] = [
    {
      title: 'Image',
      text: ({ points }) => points ?? 'removed',
      cell: ({ points }) => (points === undefined ? 'removed' : <ImageLink digest={points} />),
      isShort: true,
    },
    ...(when === undefined ? [] : [{ ...when, title: 'Since' }]),
    {
      title: 'For',
      text: (row) => Math.round(lengthOf(row) / 1_000),
      cell: (row) => durationText(lengthOf(row)),
      isShort: true,
      only: 'page',
    },
    ...others,
  ];
  const rows = periods.map(({ period: { image, target, until }, event }) => ({
    points: image ?? target,
    until,
    event,
  }));
  return (
    <>
      <DataTable
        caption="What it pointed at"
        note="newest first"
        columns={columns}
        rows={rows}
        firstRows={FIRST_ROWS}
        keyOf={({ event }) => event.seq}
        file="history"
        allRows={() => allPeriods(asOf, reference)}
      />
      {earlier > 0 && (
        <p class="note">
          {earlier.toLocaleString('en')} earlier periods are not listed: the events below and the CSV have them.
        </p>
      )}
    </>
  );
}

/** All periods until a moment, the newest first. */
async function allPeriods({ ask, moment, timeZone }: Page, reference: string): Promise<PeriodRow[]> {
  const asked = { seq: moment.seq, since: undefined, until: undefined, timeZone, nowMs: Date.now(), limit: CSV_ROWS };
  const { rows } = await ask('auditMoves', { ...asked, text: reference });
  const own = rows.filter((move) => move.reference === reference);
  return own.map(({ after, event }, at) => ({ points: after, until: own[at - 1]?.event.time, event }));
}
