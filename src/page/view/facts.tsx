import type { JSX } from 'preact';
import type { Digest } from '../../model/digest.js';
import { printable, routeText, shortId } from '../../model/texts.js';
import type { EventLine } from '../as-of.js';
import { linkTo, usePage } from './page-context.js';
import { dayAndTime } from './times.js';

/** The short id of an image or artifact, which leads to its card. */
export function ImageLink({ digest, kind = '' }: { readonly digest: Digest; readonly kind?: string }): JSX.Element {
  const { shown } = usePage();
  return (
    <a class="id" href={linkTo(shown, { image: digest })} title={digest}>
      {kind}
      {shortId(digest)}
    </a>
  );
}

/** Since when, by whom, and why. */
export function Since({ event }: { readonly event: EventLine }): JSX.Element {
  const { timeZone } = usePage();
  return (
    <>
      since {dayAndTime(event.time, timeZone)} · by {printable(event.actor)}
      <Why event={event} />
    </>
  );
}

/** Characters of a text that stays on one line. */
export const SHORT_TEXT = 24;

/** A text of the log that breaks, if it is long, between the parts of a name before it breaks in one. */
export function Breakable({ text }: { readonly text: string }): JSX.Element {
  const whole = printable(text);
  if (whole.length <= SHORT_TEXT) return <>{whole}</>;
  const parts = whole.split(/(?<=\/)/);
  return (
    <>
      {parts.map((part, at) => (
        <>
          {at > 0 && <wbr />}
          {part}
        </>
      ))}
    </>
  );
}

interface WhyProps {
  readonly event: Pick<EventLine, 'reason' | 'requestId' | 'via' | 'address'>;
  /** Whether nothing stands before it. */
  readonly isFirst?: boolean;
}

/** Reason, request and route of an event; nothing without any. */
export function Why({ event: { reason, requestId, via, address }, isFirst = false }: WhyProps): JSX.Element {
  const route = routeText({ via, address });
  const parts = [
    ...(reason === undefined ? [] : [`“${printable(reason)}”`]),
    ...(requestId === undefined ? [] : [`request ${printable(requestId)}`]),
    ...(route === '' ? [] : [route]),
  ];
  return <>{parts.map((part, at) => `${isFirst && at === 0 ? '' : ' · '}${part}`).join('')}</>;
}
