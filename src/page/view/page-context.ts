import { createContext, type RefObject } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import { formatAddress, type Shown } from '../address.js';
import type { Ask, Moment, Overview } from '../questions.js';
import { thrownText } from '../../errors.js';
import { systemTimeZone } from '../../model/time-zone.js';
import { wholeTime } from './times.js';

/** What every section of the page has. */
export interface Page {
  readonly ask: Ask;
  readonly overview: Overview;
  /** Changes whenever more events were read: answers before may be old. */
  readonly version: number;
  /** What the address says. */
  readonly shown: Shown;
  /** Shows something else beside what is shown; a step of the browser's history, unless it replaces the last one. */
  readonly show: (change: Shown, options?: { readonly replaces?: boolean }) => void;
  /** As of when everything is shown. */
  readonly moment: Moment;
  /** Whether that is the end of the log, and no earlier moment. */
  readonly isNow: boolean;
  /** What the end of the log is: the present, or where a file or a server of the past ends. */
  readonly end: 'now' | 'file' | 'server';
  /** IANA zone of all times. */
  readonly timeZone: string;
  /** Ends of the axis of time, milliseconds since the epoch. */
  readonly axis: { readonly from: number; readonly to: number };
}

/** How far the reading is. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Milliseconds that it took; undefined until it ended. */
  readonly milliseconds: number | undefined;
}

let zone: string | undefined;

/** Returns the zone of the browser, found once: it takes as long as many a render. The worker needs none. */
export function ownZone(): string {
  zone ??= systemTimeZone();
  return zone;
}

const PageContext = createContext<Page | undefined>(undefined);

export const PageProvider = PageContext.Provider;

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === undefined) throw new Error('no page around this part');
  return page;
}

/** The moment in words; the end of a file is no present. */
export function asOfText({ moment, isNow, end, axis, timeZone }: Page): string {
  if (isNow && end === 'now') return 'now';
  return wholeTime(isNow ? axis.to : moment.time, timeZone);
}

/** Address of what is shown with a change: for links that can be opened in another window. */
export function linkTo(shown: Shown, change: Shown): string {
  return formatAddress({ ...shown, ...change }) || '#';
}

/** An answer, the last one while the next is awaited; and what a question failed with. */
export interface Answered<Answer> {
  readonly answer: Answer | undefined;
  readonly failure: string | undefined;
  /** Whether the answer is to an earlier question. */
  readonly isOld: boolean;
}

/** Moves the focus to the first row that comes after a press on "more": the button may be gone then. */
export function useFocusNext<List extends HTMLElement>(
  selector: string,
): { readonly list: RefObject<List | null>; readonly focusNext: (count: number) => void } {
  const list = useRef<List>(null);
  const next = useRef<number | undefined>(undefined);
  useEffect(() => {
    if (next.current === undefined) return;
    const row = list.current?.querySelectorAll<HTMLElement>(selector)[next.current];
    if (row === undefined) return;
    next.current = undefined;
    row.focus();
  });
  const focusNext = (count: number): void => {
    next.current = count;
  };
  return { list, focusNext };
}

/** Gives the focus back to what opened this part, when closing it left none. */
export function useFocusBack(): void {
  useEffect(() => {
    const opener = document.activeElement;
    return () =>
      queueMicrotask(() => {
        const isLost = document.activeElement === null || document.activeElement === document.body;
        if (isLost && opener instanceof HTMLElement && opener.isConnected) opener.focus();
      });
  }, []);
}

/** Asks again whenever `key` changes, which stands for the question; late answers to others are dropped. */
export function useAnswer<Answer>(key: string, question: () => Promise<Answer>): Answered<Answer> {
  const [answered, setAnswered] = useState<Answered<Answer> & { readonly key: string }>({
    key: '',
    answer: undefined,
    failure: undefined,
    isOld: true,
  });
  const asked = useRef(key);
  asked.current = key;
  useEffect(() => {
    question().then(
      (answer) => {
        if (asked.current === key) setAnswered({ key, answer, failure: undefined, isOld: false });
      },
      (error: unknown) => {
        if (asked.current === key) setAnswered({ key, answer: undefined, failure: thrownText(error), isOld: false });
      },
    );
  }, [key]);
  return { ...answered, isOld: answered.key !== key };
}
