import type { JSX } from 'preact';
import { commandText } from '../../model/history.js';
import { countText, durationText, NONE, printable, shortId, sizeText, utcText } from '../../model/texts.js';
import { timestampToDate } from '../../model/timestamp.js';
import type { EventLine, RelatedArtifact } from '../as-of.js';
import type { ImageCard as Card, LayerLine, NameLine, TreeImage } from '../image-card.js';
import { type Column, DataTable, eventColumns } from './data-table.js';
import { Breakable, ImageLink, Why } from './facts.js';
import { linkTo, usePage } from './page-context.js';
import { dayAndTime } from './times.js';

/** Every name that ever pointed at an image or artifact, the newest first. */
export function Names({ names, file }: { readonly names: readonly NameLine[]; readonly file: string }): JSX.Element {
  const page = usePage();
  const { axis, isNow, moment, shown, timeZone } = page;
  if (names.length === 0) return <p class="note">No name has pointed here until then.</p>;
  const ended = ({ until }: NameLine): number => until ?? (isNow ? axis.to : moment.time);
  const [when, ...others] = eventColumns<NameLine>(page, ({ event }) => event);
  const columns: Column<NameLine>[] = [
    {
      title: 'Name',
      text: ({ name }) => name,
      cell: ({ name, reference }) => (
        <a href={linkTo(shown, { ref: reference, image: undefined })}>
          <Breakable text={name} />
        </a>
      ),
    },
    ...(when === undefined ? [] : [{ ...when, title: 'From' }]),
    {
      title: 'Until',
      text: ({ until }) => (until === undefined ? undefined : utcText(until)),
      cell: ({ until, ended }) => (
        <>
          <span class="short">
            {until === undefined ? <strong>{isNow ? 'still' : 'still then'}</strong> : dayAndTime(until, timeZone)}
          </span>
          {ended !== undefined && <Ended event={ended} />}
        </>
      ),
      isShort: false,
    },
    { title: 'Until event', text: ({ untilSeq }) => untilSeq, only: 'csv' },
    { title: 'Ended by', text: ({ ended }) => ended?.actor, only: 'csv' },
    {
      title: 'For',
      text: (line) => Math.round((ended(line) - line.from) / 1_000),
      cell: (line) => durationText(ended(line) - line.from),
      isShort: true,
      only: 'page',
    },
    ...others,
  ];
  return (
    <DataTable
      caption="Every name that ever pointed here"
      columns={columns}
      rows={[...names].reverse()}
      keyOf={({ event }) => event.seq}
      file={file}
    />
  );
}

/** Who ended a period of a name, and why. */
function Ended({ event }: { readonly event: EventLine }): JSX.Element {
  return (
    <span class="ended quiet">
      by {printable(event.actor)}
      <Why event={event} />
    </span>
  );
}

/** Bytes of the largest layer: its bar is whole. */
export function largestOf(layers: readonly LayerLine[]): number {
  return layers.reduce((largest, { size }) => Math.max(largest, size ?? 0), 1);
}

/** Columns of layers: ids, sizes drawn as bars of `largest`, and who shares them. */
export function layerColumns(largest: number): Column<LayerLine>[] {
  return [
    {
      title: 'Layer',
      text: ({ diffId }) => diffId,
      cell: ({ diffId }) => <code title={diffId}>{shortId(diffId)}</code>,
      isShort: true,
    },
    { title: 'Chain', text: ({ chainId }) => chainId, only: 'csv' },
    {
      title: 'Size',
      text: ({ size }) => size ?? undefined,
      cell: ({ size, others }) => (
        <span class="sized">
          <Bar part={(size ?? 0) / Math.max(1, largest)} isShared={others > 0} />
          <span>{size === null ? '-' : sizeText(size)}</span>
        </span>
      ),
      isNumber: true,
    },
    { title: 'Also in', text: ({ others }) => others, cell: sharedText },
  ];
}

function sharedText({ others, isCut }: LayerLine): string {
  if (others === 0) return isCut ? 'not known' : 'no other image';
  return `${isCut ? 'at least ' : ''}${countText(others, 'other image')}`;
}

function Bar({ part, isShared }: { readonly part: number; readonly isShared: boolean }): JSX.Element {
  const width = part === 0 ? 0 : Math.max(1, part * 100);
  return (
    <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect width={width} height="8" class={isShared ? 'shared' : 'own'} />
    </svg>
  );
}

/** The layers of an image, bottom first. */
export function Layers({ card: { image, layers } }: { readonly card: Card }): JSX.Element {
  const largest = largestOf(layers);
  return (
    <DataTable
      caption="Layers"
      note="bottom first"
      columns={layerColumns(largest)}
      rows={layers}
      keyOf={({ chainId }) => chainId}
      file={`layers-${shortId(image)}`}
    />
  );
}

/** The build steps of an image, as `imagelog history` has them. */
export function Steps({ card: { image, steps, erased, wrong } }: { readonly card: Card }): JSX.Element {
  const { overview, timeZone } = usePage();
  if (steps === undefined) {
    const why = overview.source === 'document' ? 'this document leaves its config out' : 'its config is not there';
    const reason = erased !== undefined ? 'its config was erased' : wrong !== undefined ? 'its config is damaged' : why;
    return <p class="note">No build steps: {reason}.</p>;
  }
  const rows = steps.map((step, at) => ({ ...step, at }));
  const columns: Column<(typeof rows)[number]>[] = [
    {
      title: 'Created',
      text: ({ created }) => created ?? undefined,
      cell: ({ created }) => (created === null ? NONE : dayAndTime(timestampToDate(created).getTime(), timeZone)),
      isShort: true,
    },
    {
      title: 'Created by',
      text: ({ createdBy }) => createdBy,
      cell: ({ createdBy }) => <code>{printable(commandText(createdBy))}</code>,
    },
    {
      title: 'Size',
      text: ({ size }) => size ?? undefined,
      cell: ({ size }) => (size === null ? '-' : sizeText(size)),
      isNumber: true,
    },
    { title: 'Comment', text: ({ comment }) => comment },
  ];
  const hasComments = steps.some(({ comment }) => comment !== '');
  return (
    <DataTable
      caption="History"
      note="last step first"
      columns={hasComments ? columns : columns.slice(0, 3)}
      rows={rows}
      keyOf={({ at }) => at}
      file={`history-${shortId(image)}`}
    />
  );
}

/** Parents and children of an image, as a tree. */
export function Parents({ card }: { readonly card: Card }): JSX.Element | null {
  const { ancestors, own, children, childCount } = card;
  if (ancestors.length === 0 && childCount === 0) return null;
  const leaves = (
    <>
      {children.length > 0 && (
        <ul>
          {children.map((child) => (
            <li key={child.image}>
              <TreeLine line={child} />
            </li>
          ))}
          {childCount > children.length && <li class="quiet">… and {childCount - children.length} more</li>}
        </ul>
      )}
    </>
  );
  return (
    <div class="data">
      <h3>Parents and children</h3>
      <ul class="tree">
        <Branch lines={[...ancestors, own]} own={own} leaves={leaves} />
      </ul>
    </div>
  );
}

interface BranchProps {
  readonly lines: readonly TreeImage[];
  readonly own: TreeImage;
  readonly leaves: JSX.Element;
}

function Branch({ lines: [line, ...others], own, leaves }: BranchProps): JSX.Element | null {
  if (line === undefined) return null;
  return (
    <li>
      <TreeLine line={line} isOwn={line === own} />
      {others.length === 0 ? (
        leaves
      ) : (
        <ul>
          <Branch lines={others} own={own} leaves={leaves} />
        </ul>
      )}
    </li>
  );
}

function TreeLine({ line, isOwn = false }: { readonly line: TreeImage; readonly isOwn?: boolean }): JSX.Element {
  const { image, names, isPresent } = line;
  return (
    <>
      {isOwn ? <strong class="id">{shortId(image)}</strong> : <ImageLink digest={image} />}{' '}
      <span class="quiet">
        {isOwn && 'this image'}
        {isOwn && names.length > 0 && ' · '}
        {names.map(printable).join(', ')}
        {!isPresent && ' deleted'}
      </span>
    </>
  );
}

interface ArtifactsProps {
  readonly rows: readonly RelatedArtifact[];
  readonly isCut: boolean;
  readonly file: string;
}

/** Artifacts and attestations about an image or artifact, as `imagelog inspect` has them. */
export function Artifacts({ rows, isCut, file }: ArtifactsProps): JSX.Element {
  const columns: Column<RelatedArtifact>[] = [
    {
      title: 'Artifact',
      text: ({ digest }) => digest,
      cell: ({ digest }) => <ImageLink digest={digest} />,
      isShort: true,
    },
    { title: 'Type', text: ({ artifactType, mediaType }) => (artifactType === '' ? mediaType : artifactType) },
    {
      title: 'About',
      text: ({ subject }) => subject,
      cell: ({ subject }) => (subject === undefined ? '' : <code title={subject}>{shortId(subject)}</code>),
    },
    {
      title: 'Beside it in index',
      text: ({ index }) => index,
      cell: ({ index }) => (index === undefined ? '' : <code title={index}>{shortId(index)}</code>),
    },
    { title: 'Size', text: ({ size }) => size, cell: ({ size }) => sizeText(size), isNumber: true },
  ];
  return (
    <>
      <DataTable
        caption="Artifacts and attestations"
        columns={columns}
        rows={rows}
        keyOf={({ digest }) => digest}
        file={file}
      />
      {isCut && <p class="note">Artifacts of the earliest events are not looked at here.</p>}
    </>
  );
}

/** The values of an image's config and its metadata, closed at first: there are many. */
export function ConfigTable({ card }: { readonly card: Card }): JSX.Element | null {
  const { image, config, metadata } = card;
  const rows = [...metadata.map(([key, value]) => [`metadata.${key}`, value] as const), ...config];
  if (rows.length === 0) return null;
  return (
    <details class="data">
      <summary>Config, {countText(rows.length, 'value')}</summary>
      <DataTable
        caption={metadata.length === 0 ? 'Config' : 'Metadata and config'}
        columns={[
          { title: 'Key', text: ([key]) => key },
          { title: 'Value', text: ([, value]) => value, cell: ([, value]) => <code>{printable(value)}</code> },
        ]}
        rows={rows}
        keyOf={([key]) => key}
        file={`config-${shortId(image)}`}
      />
    </details>
  );
}
