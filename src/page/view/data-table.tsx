import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { csvRow } from '../../model/csv.js';
import { utcText } from '../../model/texts.js';
import type { EventLine } from '../as-of.js';
import { save } from './event-list.js';
import { Breakable, SHORT_TEXT, Why } from './facts.js';
import { linkTo, type Page, useFocusNext } from './page-context.js';
import { dayAndTime } from './times.js';

/** Rows shown at first, and added by each step. */
export const TABLE_ROWS = 25;
/** Rows of a table as CSV. */
export const CSV_ROWS = 100_000;

/** A column of a table on the page and as CSV. */
export interface Column<Row> {
  readonly title: string;
  /** What CSV has; undefined leaves the cell empty. */
  readonly text: (row: Row) => string | number | undefined;
  /** What the page shows; by default the text. */
  readonly cell?: (row: Row) => ComponentChildren;
  readonly isNumber?: boolean;
  /** Whether it stays on one line, or not; by default short texts do. */
  readonly isShort?: boolean;
  /** Where it is, if not in both. */
  readonly only?: 'page' | 'csv';
}

interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string | number;
  /** Name of the file of CSV, without its ending. */
  readonly file: string;
  /** Rows shown at first. */
  readonly firstRows?: number;
  /** How many rows there are, if these are not all; and how to ask for more of them. */
  readonly count?: number;
  readonly readMore?: () => void;
  /** Asks for the rows of CSV, if these are not all. */
  readonly allRows?: () => Promise<readonly Row[]>;
  /** Said beside the caption. */
  readonly note?: ComponentChildren;
}

/** A table with its caption, that can be downloaded as CSV (RFC 4180). Nothing without rows. */
export function DataTable<Row>(props: TableProps<Row>): JSX.Element | null {
  const { caption, columns, rows, keyOf, note, firstRows = TABLE_ROWS } = props;
  const [shown, setShown] = useState(firstRows);
  const [isCut, setCut] = useState(false);
  const { list, focusNext } = useFocusNext<HTMLTableSectionElement>('tr');
  if (rows.length === 0) return null;
  const visible = columns.filter(({ only }) => only !== 'csv');
  const some = props.readMore === undefined ? rows.slice(0, shown) : rows;
  const count = props.count ?? rows.length;
  const showMore = props.readMore ?? (() => setShown(shown * 2));
  return (
    <div class="data">
      <table>
        <caption>
          <h3>{caption}</h3> {note !== undefined && <span class="quiet">{note}</span>}
        </caption>
        <thead>
          <tr>
            {visible.map((column) => (
              <th key={column.title} scope="col" class={classOf(column)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={list}>
          {some.map((row) => (
            <tr key={keyOf(row)} tabIndex={-1}>
              {visible.map((column, at) => cellOf(column, row, at === 0))}
            </tr>
          ))}
        </tbody>
      </table>
      {count > some.length && <Cut shown={some.length} count={count} what="rows" />}
      <p class="tools">
        {count > some.length && (
          <button
            type="button"
            onClick={() => {
              focusNext(some.length);
              showMore();
            }}
          >
            Show more of {count.toLocaleString('en')}
          </button>
        )}
        <button
          type="button"
          class="csv"
          onClick={() => void download(props).then((rowsOfFile) => setCut(rowsOfFile < count))}
          aria-label={`Download as CSV: ${caption}`}
        >
          CSV
        </button>
        {isCut && (
          <span class="note" role="status">
            The file has {CSV_ROWS.toLocaleString('en')} of {count.toLocaleString('en')} rows: choose a shorter period
            for the others.
          </span>
        )}
      </p>
    </div>
  );
}

/** Says on paper, where no button adds rows, how many there are. */
export function Cut({
  shown,
  count,
  what,
}: {
  readonly shown: number;
  readonly count: number;
  readonly what: string;
}): JSX.Element {
  return (
    <p class="print-only note">
      {shown.toLocaleString('en')} of {count.toLocaleString('en')} {what} are on paper.
    </p>
  );
}

function cellOf<Row>(column: Column<Row>, row: Row, isHead: boolean): JSX.Element {
  const { title, cell } = column;
  const text = column.text(row);
  const content = cell === undefined ? <Breakable text={String(text ?? '')} /> : cell(row);
  const kind = classOf(column, String(text ?? ''));
  if (isHead) {
    return (
      <th key={title} scope="row" class={kind}>
        {content}
      </th>
    );
  }
  // Narrow screens show the title before each cell.
  return (
    <td key={title} data-title={title} class={kind}>
      {content}
    </td>
  );
}

/** Short texts stay on one line, where there is room for that; a column of them is no wider than they are. */
function classOf<Row>({ isNumber = false, isShort }: Column<Row>, text = ''): string {
  if (isNumber) return 'number';
  if (isShort === true) return 'short fit';
  return (isShort ?? text.length <= SHORT_TEXT) ? 'short' : 'long';
}

/** Saves a table as CSV, and resolves with the number of its rows. */
async function download<Row>({ columns, rows, allRows, file }: TableProps<Row>): Promise<number> {
  const parts = columns.filter(({ only }) => only !== 'page');
  const all = allRows === undefined ? rows : await allRows();
  const lines = [parts.map(({ title }) => title), ...all.map((row) => parts.map(({ text }) => text(row)))];
  save(lines.map((cells) => `${csvRow(cells)}\r\n`).join(''), `${file}.csv`);
  return all.length;
}

/** Columns of the event that a row is about: when, who, why, which. */
export function eventColumns<Row>(
  { shown, timeZone }: Pick<Page, 'shown' | 'timeZone'>,
  eventOf: (row: Row) => EventLine,
): Column<Row>[] {
  return [
    {
      title: 'When',
      text: (row) => utcText(eventOf(row).time),
      cell: (row) => dayAndTime(eventOf(row).time, timeZone),
      isShort: true,
    },
    { title: 'By', text: (row) => eventOf(row).actor },
    {
      title: 'Why',
      text: (row) => eventOf(row).reason,
      cell: (row) => <Why event={eventOf(row)} isFirst />,
      isShort: false,
    },
    { title: 'Request', text: (row) => eventOf(row).requestId, only: 'csv' },
    {
      title: 'Event',
      isShort: true,
      text: (row) => eventOf(row).seq,
      cell: (row) => {
        const { seq } = eventOf(row);
        return (
          <a class="seq" href={linkTo(shown, { at: `${seq}` })} aria-label={`Event ${seq}: show the log as of it`}>
            {seq}
          </a>
        );
      },
    },
  ];
}
