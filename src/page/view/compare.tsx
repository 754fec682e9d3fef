import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { type Digest, isDigest } from '../../model/digest.js';
import { countText, printable, shortId, sizeText } from '../../model/texts.js';
import {
  type ComparedImage,
  type Difference,
  DIFFERENCE_KINDS,
  type ImageDifferences,
  type KeyDifference,
  type MomentDifferences,
} from '../compare.js';
import { type Column, CSV_ROWS, DataTable, eventColumns, TABLE_ROWS } from './data-table.js';
import { Breakable, ImageLink } from './facts.js';
import { linkTo, useAnswer, usePage } from './page-context.js';
import { wholeTime } from './times.js';
import type { LayerLine } from '../image-card.js';
import { largestOf, layerColumns } from './card-tables.js';

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

interface ComparisonProps {
  readonly before: Digest;
  readonly after: Digest;
}

/** Two images beside each other: what their layers and configs have in common, and what not. */
export function ImageComparison({ before, after }: ComparisonProps): JSX.Element {
  const { ask, moment, shown, version } = usePage();
  const { seq } = moment;
  const { answer, failure } = useAnswer(`${version} ${seq} ${before} ${after}`, () =>
    ask('compareImages', { before, after, seq }),
  );
  return (
    <section class="comparison" aria-labelledby="comparison-title">
      <h3 id="comparison-title">
        Compared with <code>{shortId(before)}</code>
      </h3>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {printable(failure)}
        </p>
      )}
      {answer !== undefined && <Differences answer={answer} />}
      <p>
        <a href={linkTo(shown, { from: undefined })}>End the comparison</a>
      </p>
    </section>
  );
}

function Differences({ answer }: { readonly answer: ImageDifferences }): JSX.Element {
  const { before, after, common, beforeOnly, afterOnly, keys, sameKeys } = answer;
  const file = `${shortId(before.image)}-${shortId(after.image)}`;
  const rows: LayerSide[] = [
    ...common.map((layer) => ({ ...layer, side: 'both' as const })),
    ...beforeOnly.map((layer) => ({ ...layer, side: 'before' as const })),
    ...afterOnly.map((layer) => ({ ...layer, side: 'after' as const })),
  ];
  const largest = largestOf(rows);
  const sideTexts = { both: 'both', before: shortId(before.image), after: shortId(after.image) };
  const columns: Column<LayerSide>[] = [
    {
      title: 'Only in',
      text: ({ side }) => sideTexts[side],
      cell: ({ side }) => <span class={`side ${side}`}>{`${SIDE_MARKS[side]} ${sideTexts[side]}`}</span>,
    },
    ...layerColumns(largest).slice(0, -1),
  ];
  return (
    <>
      <p class="sentence" role="status">
        <Side image={before} /> and <Side image={after} />: {countText(common.length, 'common layer')},{' '}
        {beforeOnly.length} only in the first, {afterOnly.length} only in the second;{' '}
        {before.hasConfig && after.hasConfig
          ? `${countText(keys.length, 'config value')} different, ${sameKeys} the same.`
          : 'the config of one is not here.'}
      </p>
      <DataTable
        caption="Layers of both"
        columns={columns}
        rows={rows}
        keyOf={({ side, chainId }) => `${side} ${chainId}`}
        file={`layers-${file}`}
      />
      <Keys keys={keys} before={before} after={after} file={`config-${file}`} />
    </>
  );
}

interface LayerSide extends LayerLine {
  readonly side: 'both' | 'before' | 'after';
}

const SIDE_MARKS = { both: '=', before: '−', after: '+' } as const;

function Side({ image: { image, names, size } }: { readonly image: ComparedImage }): JSX.Element {
  return (
    <>
      <ImageLink digest={image} />
      {names.length > 0 && ` (${names.map(printable).join(', ')})`}
      {size !== undefined && `, ${sizeText(size)}`}
    </>
  );
}

interface KeysProps extends Pick<ImageDifferences, 'keys' | 'before' | 'after'> {
  readonly file: string;
}

function Keys({ keys, before, after, file }: KeysProps): JSX.Element {
  const value = (text: string | undefined): ComponentChildren =>
    text === undefined ? <span class="quiet">not set</span> : <code>{printable(text)}</code>;
  const columns: Column<KeyDifference>[] = [
    { title: 'Key', text: ({ key }) => key },
    { title: shortId(before.image), text: (row) => row.before, cell: (row) => value(row.before) },
    { title: shortId(after.image), text: (row) => row.after, cell: (row) => value(row.after) },
  ];
  return (
    <DataTable caption="Config values that differ" columns={columns} rows={keys} keyOf={({ key }) => key} file={file} />
  );
}
