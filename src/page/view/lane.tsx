import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { durationText, printable, shortId } from '../../model/texts.js';
import type { EventLine } from '../as-of.js';
import type { LanePeriods, ReferenceRow } from '../questions.js';
import type { ReferencePeriod } from '../timeline.js';
import { Why } from './facts.js';
import { type Page, useAnswer, usePage } from './page-context.js';
import { dayAndTime } from './times.js';

/** Least part of a lane, in percent, so that a minute shows by a year. */
const LEAST_PART = 0.3;
/** Tints that tell neighbors apart; the image as of the moment has the accent. */
const TINTS = 3;
/** Part of a lane from which on an id fits in. */
const LABEL_PART = 12;

/** Periods that a key walks over. */
const STEP_OF_KEY: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

/** Place of a segment in its lane, in percent. */
interface Part {
  readonly start: number;
  readonly width: number;
}

/**
 * The history of a reference on the axis of the slider, a segment an image. One stop of the keyboard,
 * like a slider: the arrows walk over its periods, and Enter or a click goes to where one began.
 */
export function Lane({ row }: { readonly row: LaneRow }): JSX.Element {
  const { ask, version } = usePage();
  const { reference } = row;
  const { answer } = useAnswer(`${version} ${reference}`, () => ask('lane', { reference }));
  // Its place is there at once, so that nothing below moves.
  return answer === undefined ? <div class="lane" /> : <DrawnLane row={row} lane={answer} />;
}

type LaneRow = Pick<ReferenceRow, 'name' | 'reference' | 'image' | 'target' | 'isRemoved'>;

interface DrawnLaneProps {
  readonly row: LaneRow;
  readonly lane: LanePeriods;
}

function DrawnLane({ row, lane: { periods, earlier, since } }: DrawnLaneProps): JSX.Element {
  const { ask, axis, moment, isNow, timeZone, show } = usePage();
  const [active, setActive] = useState<number>();
  const { name } = row;
  const focused = active === undefined ? undefined : periods[active];
  const { answer: event, isOld } = useAnswer(`${focused?.seq}`, () =>
    focused === undefined ? Promise.resolve(undefined) : ask('event', { seq: focused.seq }),
  );
  const tints = tintsOf(periods, row);
  const { parts, now, begin } = placesOf(periods, { axis, moment: isNow ? axis.to : moment.time, since });
  const last = periods.length - 1;
  const goTo = (place: number | undefined): void => {
    const seq = place === undefined ? undefined : periods[place]?.seq;
    if (seq !== undefined) show({ at: `${seq}` });
  };
  const placeAt = (x: number, { left, width }: DOMRect): number | undefined => {
    const at = parts.findLastIndex(({ start }) => start <= (100 * (x - left)) / width);
    return at < 0 ? undefined : at;
  };
  return (
    <div
      class="lane"
      tabIndex={0}
      role="slider"
      aria-label={`Periods of ${printable(name)}`}
      aria-valuemin={1}
      aria-valuemax={periods.length}
      aria-valuenow={(active ?? last) + 1}
      aria-valuetext={textOf(periods[active ?? last], isOld ? undefined : event, timeZone)}
      onKeyDown={(pressed) => {
        const by = STEP_OF_KEY[pressed.key];
        if (pressed.key === 'Escape') setActive(undefined);
        if (pressed.key === 'Enter') goTo(active ?? last);
        if (by === undefined) return;
        pressed.preventDefault();
        setActive(Math.min(last, Math.max(0, (active ?? last) + by)));
      }}
      onFocus={() => setActive(active ?? last)}
      onBlur={() => setActive(undefined)}
      onPointerLeave={() => setActive(undefined)}
      onPointerMove={(moved) => setActive(placeAt(moved.clientX, moved.currentTarget.getBoundingClientRect()))}
      onClick={(clicked) => goTo(placeAt(clicked.clientX, clicked.currentTarget.getBoundingClientRect()))}
    >
      <svg aria-hidden="true">
        {earlier > 0 && <line class="segment many" x1={`${begin}%`} x2={`${parts[0]?.start}%`} y1="50%" y2="50%" />}
        {periods.map((period, at) => (
          <Segment
            key={period.seq}
            {...{ period, isActive: at === active, tint: tints[at] ?? '', part: parts[at] ?? { start: 0, width: 0 } }}
          />
        ))}
        {!isNow && <rect class="later" x={`${now}%`} width={`${100 - now}%`} height="100%" />}
        <line class="moment-line" x1={`${now}%`} x2={`${now}%`} y1="-3" y2="31" />
      </svg>
      {earlier > 0 && (
        <p class="quiet earlier">
          dashed: {earlier.toLocaleString('en')} earlier periods, from{' '}
          {since === undefined ? '' : dayAndTime(since, timeZone)} on
        </p>
      )}
      {focused !== undefined && (
        <Details
          period={focused}
          event={isOld ? undefined : event}
          part={parts[active ?? 0] ?? { start: 0, width: 0 }}
        />
      )}
    </div>
  );
}

interface Places {
  readonly parts: readonly Part[];
  readonly now: number;
  /** Where the first of all periods began, drawn or not. */
  readonly begin: number;
}

/** Places of all periods and of the moment on the axis. */
function placesOf(
  periods: readonly ReferencePeriod[],
  {
    axis: { from, to },
    moment,
    since = from,
  }: { readonly axis: Page['axis']; readonly moment: number; readonly since: number | undefined },
): Places {
  const partOf = (time: number): number => (100 * Math.min(Math.max(time - from, 0), to - from)) / (to - from);
  const parts = periods.map(({ time, until = to }) => {
    const start = Math.min(partOf(time), 100 - LEAST_PART);
    return { start, width: Math.max(LEAST_PART, partOf(until) - start) };
  });
  return { parts, now: partOf(moment), begin: partOf(since) };
}

function textOf(period: ReferencePeriod | undefined, event: EventLine | undefined, timeZone: string): string {
  if (period === undefined) return '';
  const { image, target, time, until, actor } = period;
  const points = image ?? target;
  const end = until === undefined ? 'on, still' : `until ${dayAndTime(until, timeZone)}`;
  const why = event?.reason === undefined ? '' : `, ${event.reason}`;
  const request = event?.requestId === undefined ? '' : `, request ${event.requestId}`;
  return printable(
    `${points === undefined ? 'removed' : shortId(points)} from ${dayAndTime(time, timeZone)} ${end}, by ${actor}${why}${request}`,
  );
}

interface SegmentProps {
  readonly period: ReferencePeriod;
  readonly isActive: boolean;
  readonly tint: string;
  readonly part: Part;
}

function Segment({ period, isActive, tint, part: { start, width } }: SegmentProps): JSX.Element {
  const points = period.image ?? period.target;
  const className = `segment ${tint}${isActive ? ' active' : ''}`;
  if (points === undefined)
    return <line class={className} x1={`${start}%`} x2={`${start + width}%`} y1="50%" y2="50%" />;
  return (
    <svg aria-hidden="true" x={`${start}%`} width={`${width}%`}>
      <rect class={className} width="100%" height="100%" />
      <rect class={`edge ${tint}`} width="2" height="100%" />
      {width > LABEL_PART && (
        <text class={`label ${tint}`} x="9" y="50%">
          {shortId(points)}
        </text>
      )}
    </svg>
  );
}

/** An image always has the same tint, and not that of its neighbor. */
function tintsOf(
  periods: readonly ReferencePeriod[],
  row: Pick<ReferenceRow, 'image' | 'target' | 'isRemoved'>,
): string[] {
  const current = row.isRemoved ? undefined : (row.image ?? row.target);
  const known = new Map<string, number>();
  let before = -1;
  return periods.map((period) => {
    const points = period.image ?? period.target;
    if (points === undefined) return 'gap';
    if (points === current) return 'current';
    let tint = known.get(points);
    if (tint === undefined) {
      tint = known.size % TINTS;
      if (tint === before) tint = (tint + 1) % TINTS;
      known.set(points, tint);
    }
    before = tint;
    return `tint-${tint}`;
  });
}

interface DetailsProps {
  readonly period: ReferencePeriod;
  /** Undefined until its record was read again. */
  readonly event: EventLine | undefined;
  readonly part: Part;
}

/** Who made a period, when and why. */
function Details({ period, event, part: { start } }: DetailsProps): JSX.Element {
  const { axis, timeZone } = usePage();
  const { image, target, time, until, actor, seq } = period;
  const points = image ?? target;
  const side = start > 50 ? { '--right': `${Math.max(0, 100 - start - 30)}%` } : { '--left': `${start}%` };
  return (
    <p class="details" style={side}>
      <strong>{points === undefined ? 'removed' : shortId(points)}</strong>{' '}
      {until === undefined
        ? `since ${dayAndTime(time, timeZone)}`
        : `${dayAndTime(time, timeZone)} – ${dayAndTime(until, timeZone)}`}{' '}
      · {durationText((until ?? axis.to) - time)}
      <br />
      by {printable(actor)}
      {event !== undefined && <Why event={event} />} · event {seq}
    </p>
  );
}
