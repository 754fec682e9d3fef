import type { JSX } from 'preact';
import { familiarReference } from '../../model/reference.js';
import { durationText, printable, shortId } from '../../model/texts.js';
import type { ChosenReference as Chosen, ReferenceRow } from '../questions.js';
import { ImageLink, Why } from './facts.js';
import { Lane } from './lane.js';
import { linkTo, useAnswer, usePage } from './page-context.js';
import { dayAndTime, wholeTime } from './times.js';

/** The chosen reference: what it pointed at at the moment, in a sentence, and all its periods until then. */
export function ChosenReference({ reference }: { readonly reference: string }): JSX.Element | null {
  const page = usePage();
  const { ask, shown, timeZone, version } = page;
  const { answer } = useAnswer(
    `${version} ${page.moment.seq} ${page.moment.time} ${page.isNow} ${reference}`,
    async () => ({
      ...(await ask('reference', { seq: page.moment.seq, reference })),
      moment: page.moment,
      isNow: page.isNow,
    }),
  );
  if (answer === undefined) return null;
  // Of the moment that was answered for, which is not yet the next one.
  const { row, periods, earlier, moment, isNow } = answer;
  const name = printable(familiarReference(reference));
  return (
    <article class="chosen-reference" aria-label={name}>
      <h3>
        {name}
        {row !== undefined && !row.isRemoved && <Points row={row} />}
      </h3>
      <p class="sentence">
        {isNow ? 'Now' : wholeTime(moment.time, timeZone)}:{' '}
        {row === undefined ? 'it had never been set.' : <Sentence row={row} />}
      </p>
      {row !== undefined && <Lane row={row} />}
      {periods.length > 0 && <Periods periods={periods} />}
      {earlier > 0 && <p class="note">{earlier} earlier periods: the events below have them all.</p>}
      <a class="close" href={linkTo(shown, { ref: undefined })}>
        Close
      </a>
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

function Sentence({ row: { image, target, isRemoved, event } }: { readonly row: ReferenceRow }): JSX.Element {
  const { timeZone } = usePage();
  const points = image ?? target;
  const what =
    isRemoved || points === undefined ? (
      'it was removed'
    ) : (
      <>
        it pointed at <code>{shortId(points)}</code>
      </>
    );
  return (
    <>
      {what}, since {dayAndTime(event.time, timeZone)}, by <strong>{printable(event.actor)}</strong>
      <Why event={event} />.
    </>
  );
}

function Periods({ periods }: Pick<Chosen, 'periods'>): JSX.Element {
  const { axis, isNow, moment, shown, timeZone } = usePage();
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Image</th>
          <th scope="col">Since</th>
          <th scope="col">For</th>
          <th scope="col">By</th>
          <th scope="col">Why</th>
          <th scope="col">Event</th>
        </tr>
      </thead>
      <tbody>
        {periods.map(({ period: { image, target, time, until, actor, seq }, event }) => {
          const points = image ?? target;
          return (
            <tr key={seq}>
              <td>{points === undefined ? 'removed' : <ImageLink digest={points} />}</td>
              <td>{dayAndTime(time, timeZone)}</td>
              <td>{durationText((until ?? (isNow ? axis.to : moment.time)) - time)}</td>
              <td>{printable(actor)}</td>
              <td>
                <Why event={event} isFirst />
              </td>
              <td>
                <a href={linkTo(shown, { at: `${seq}` })} aria-label={`Event ${seq}: show the log as of it`}>
                  {seq}
                </a>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
