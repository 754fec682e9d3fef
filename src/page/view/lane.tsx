import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { durationText, printable, shortId } from '../../model/texts.js';
import type { ReferenceRow } from '../questions.js';
import type { ReferencePeriod } from '../timeline.js';
import { usePage, useAnswer } from './page-context.js';
import { Why } from './reference-list.js';
import { dayAndTime } from './times.js';

/** Least part of a lane, so that a minute shows by a year. */
const LEAST_PART = 0.3;
/** Tints that tell neighbors apart; the image as of the moment has the accent. */
const TINTS = 3;
/** Part of a lane from which on an id fits in. */
const LABEL_PART = 11;

/**
 * The history of a reference on the axis of the slider, a segment an image. One stop of the keyboard:
 * the arrows walk over its segments.
 */
export function Lane({ row }: { readonly row: ReferenceRow }): JSX.Element {
  const { axis, moment, isNow, timeZone } = usePage();
  const [active, setActive] = useState<number>();
  const { periods, name } = row;
  const tints = tintsOf(periods, row);
  const partOf = (time: number): number =>
    (100 * Math.min(Math.max(time - axis.from, 0), axis.to - axis.from)) / (axis.to - axis.from);
  const segments = periods.map((period) => {
    const start = partOf(period.time);
    return { start, width: Math.max(LEAST_PART, partOf(period.until ?? axis.to) - start) };
  });
  const now = partOf(isNow ? axis.to : moment.time);
  const focused = active === undefined ? undefined : periods[active];
  const move = (by: number): void =>
    setActive(Math.min(periods.length - 1, Math.max(0, (active ?? periods.length) + by)));
  return (
    <div
      class="lane"
      tabIndex={0}
      role="group"
      aria-label={`History of ${name}: ${periods.length} periods; arrow keys walk over them`}
      onKeyDown={(event) => {
        if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
        event.preventDefault();
        move(event.key === 'ArrowLeft' ? -1 : 1);
      }}
      onBlur={() => setActive(undefined)}
      onPointerLeave={() => setActive(undefined)}
      onPointerMove={(event) => {
        const { left, width } = event.currentTarget.getBoundingClientRect();
        const part = (100 * (event.clientX - left)) / width;
        const at = segments.findLastIndex(({ start }) => start <= part);
        setActive(at < 0 ? undefined : at);
      }}
    >
      <svg aria-hidden="true">
        {periods.map((period, at) => (
          <Segment
            key={period.seq}
            {...{
              period,
              isActive: at === active,
              tint: tints[at] ?? '',
              part: segments[at] ?? { start: 0, width: 0 },
            }}
          />
        ))}
        {!isNow && <rect class="later" x={`${now}%`} width={`${100 - now}%`} height="100%" />}
        <line class="moment-line" x1={`${now}%`} x2={`${now}%`} y1="0" y2="100%" />
      </svg>
      {focused !== undefined && (
        <Details period={focused} timeZone={timeZone} end={axis.to} start={segments[active ?? 0]?.start ?? 0} />
      )}
    </div>
  );
}

interface SegmentProps {
  readonly period: ReferencePeriod;
  readonly isActive: boolean;
  readonly tint: string;
  readonly part: { readonly start: number; readonly width: number };
}

function Segment({ period, isActive, tint, part: { start, width } }: SegmentProps): JSX.Element {
  const points = period.image ?? period.target;
  const className = `segment ${tint}${isActive ? ' active' : ''}`;
  if (points === undefined)
    return <line class={className} x1={`${start}%`} x2={`${start + width}%`} y1="50%" y2="50%" />;
  return (
    <svg x={`${start}%`} width={`${width}%`}>
      <rect class={className} width="100%" height="100%" />
      <rect class="edge" width="1" height="100%" />
      {width > LABEL_PART && (
        <text class={`label ${tint}`} x="6" y="50%">
          {shortId(points)}
        </text>
      )}
    </svg>
  );
}

/** An image always has the same tint, and not that of its neighbor. */
function tintsOf(periods: readonly ReferencePeriod[], row: ReferenceRow): string[] {
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
  readonly timeZone: string;
  readonly end: number;
  readonly start: number;
}

/** Who made a period, when and why; the reason is read from the record. */
function Details({ period, timeZone, end, start }: DetailsProps): JSX.Element {
  const { ask } = usePage();
  const { answer: event, isOld } = useAnswer(`${period.seq}`, () => ask('event', { seq: period.seq }));
  const { image, target, time, until, actor, seq } = period;
  const points = image ?? target;
  return (
    <p
      class={`details ${start > 50 ? 'to-left' : ''}`}
      role="status"
      style={start > 50 ? { right: `${100 - start}%` } : { left: `${start}%` }}
    >
      <strong>{points === undefined ? 'removed' : shortId(points)}</strong> {dayAndTime(time, timeZone)} –{' '}
      {until === undefined ? 'now' : dayAndTime(until, timeZone)} ({durationText((until ?? end) - time)})
      <br />
      by {printable(actor)}
      {event !== undefined && !isOld && <Why event={event} />} · event {seq}
    </p>
  );
}
