import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { isDigest } from '../../model/digest.js';
import { countText, printable, shortId } from '../../model/texts.js';
import { type Difference, DIFFERENCE_KINDS, type MomentDifferences } from '../compare.js';
import { type Column, CSV_ROWS, DataTable, eventColumns, TABLE_ROWS } from './data-table.js';
import { Breakable, ImageLink } from './facts.js';
import { linkTo, usePage, useAnswer } from './page-context.js';
import { wholeTime } from './times.js';

/** What is different between the moment and another one, in the words of `imagelog diff`. */
export function Compare(): JSX.Element {
  const { shown, show } = usePage();
  const from = shown.from === undefined || isDigest(shown.from) ? undefined : shown.from;
  return (
    <section class="compare" aria-labelledby="compare-title">
      <div class="section-head">
        <h2 id="compare-title" tabIndex={-1}>
          Compare
        </h2>
        {from !== undefined && <a href={linkTo(shown, { from: undefined })}>close</a>}
      </div>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          const text = new FormData(event.currentTarget).get('from');
          if (typeof text === 'string') show({ from: text.trim() || undefined });
        }}
      >
        <label>
          Compare the moment above with
          <input
            name="from"
            key={from}
            defaultValue={from}
            placeholder="last tuesday, 2h, 2026-11-24 14:05, @27"
            autocomplete="off"
            spellcheck={false}
          />
        </label>
        <button type="submit">Compare</button>
      </form>
      {from !== undefined && <MomentComparison from={from} />}
    </section>
  );
}

function MomentComparison({ from }: { readonly from: string }): JSX.Element {
  const { ask, moment, timeZone, version } = usePage();
  const [limit, setLimit] = useState(TABLE_ROWS);
  const text = /^\d+$/.test(from) ? `@${from}` : from;
  const { answer, failure } = useAnswer(`${version} ${moment.seq} ${text} ${timeZone} ${limit}`, async () => {
    const other = await ask('moment', { text, nowMs: Date.now(), timeZone });
    const differences = await ask('compareMoments', { one: moment.seq, other: other.seq, limit });
    return { other, differences };
  });
  if (failure !== undefined) {
    return (
      <p class="failure" role="alert">
        {printable(failure)}
      </p>
    );
  }
  if (answer === undefined) return <p class="note">…</p>;
  const { differences, other } = answer;
  const allRows = async (): Promise<readonly Difference[]> =>
    (await ask('compareMoments', { one: moment.seq, other: other.seq, limit: CSV_ROWS })).rows;
  const [early, late] = other.seq < moment.seq ? [other, moment] : [moment, other];
  return (
    <>
      <p class="sentence" role="status">
        From event {early.seq}, {wholeTime(early.time, timeZone)}, to event {late.seq}, {wholeTime(late.time, timeZone)}
        : {countsText(differences)}.
      </p>
      <DifferenceTable differences={differences} readMore={() => setLimit(limit * 2)} allRows={allRows} />
      {differences.isCut && (
        <p class="note">Too much came and went in between: beside references, the first changes are left out.</p>
      )}
    </>
  );
}

/** Formats `2 references changed, 1 image added`. */
function countsText({ counts }: MomentDifferences): string {
  const parts = DIFFERENCE_KINDS.flatMap((kind) =>
    (['changed', 'added', 'removed'] as const).flatMap((change) => {
      const count = counts[kind][change];
      if (count === 0) return [];
      return [`${kind === 'metadata' ? countText(count, 'metadata value') : countText(count, kind)} ${change}`];
    }),
  );
  return parts.length === 0 ? 'nothing is different' : parts.join(', ');
}

const MARKS = { added: '+', removed: '−', changed: '~' } as const;

interface DifferenceTableProps {
  readonly differences: MomentDifferences;
  readonly readMore: () => void;
  readonly allRows: () => Promise<readonly Difference[]>;
}

function DifferenceTable({ differences, readMore, allRows }: DifferenceTableProps): JSX.Element {
  const page = usePage();
  const { rows, count, from, to } = differences;
  const columns: Column<Difference>[] = [
    {
      title: 'Change',
      text: ({ change }) => change,
      cell: ({ change }) => <span class={`change ${change}`}>{`${MARKS[change]} ${change}`}</span>,
      isShort: true,
    },
    { title: 'Kind', text: ({ kind }) => kind, isShort: true },
    { title: 'Key', text: ({ key }) => key, cell: (row) => <Key row={row} /> },
    {
      title: 'Was',
      text: ({ before }) => before,
      cell: ({ kind, before }) => <Pointed kind={kind} at={before} />,
    },
    {
      title: 'Is',
      text: ({ after }) => after,
      cell: (row) => (
        <>
          <Pointed kind={row.kind} at={row.after} /> <Inside row={row} />
        </>
      ),
    },
    ...eventColumns<Difference>(page, ({ event }) => event),
  ];
  return (
    <DataTable
      caption="Differences"
      columns={columns}
      rows={rows}
      count={count}
      readMore={readMore}
      allRows={allRows}
      keyOf={({ kind, key }) => `${kind} ${key}`}
      file={`diff-${from}-${to}`}
    />
  );
}

/** One side of a difference. An image or artifact is its own. */
function Pointed({
  kind,
  at,
}: {
  readonly kind: Difference['kind'];
  readonly at: string | undefined;
}): ComponentChildren {
  if (at === undefined || kind === 'image' || kind === 'artifact') return null;
  return isDigest(at) && (kind === 'reference' || kind === 'parent') ? <ImageLink digest={at} /> : printable(at);
}

/** Leads to the layers and config keys of the images between which a name moved. */
function Inside({ row: { kind, before, after } }: { readonly row: Difference }): JSX.Element | null {
  const { shown } = usePage();
  if (kind !== 'reference' || before === undefined || after === undefined) return null;
  return <a href={linkTo(shown, { image: after, from: before })}>layers and config</a>;
}

function Key({ row: { kind, key, name } }: { readonly row: Difference }): JSX.Element {
  const { shown } = usePage();
  if (kind === 'reference') {
    return (
      <a href={linkTo(shown, { ref: key })}>
        <Breakable text={name} />
      </a>
    );
  }
  if (kind === 'layer' || kind === 'metadata' || !isDigest(key)) {
    return <code>{kind === 'layer' && isDigest(key) ? shortId(key) : printable(name)}</code>;
  }
  return <ImageLink digest={key} />;
}
