import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isDigest } from '../../model/digest.js';
import { printable, shortId } from '../../model/texts.js';
import { systemTimeZone, UTC } from '../../model/time-zone.js';
import { formatAddress, type Shown } from '../address.js';
import { Audit } from './audit.js';
import { Compare } from './compare.js';
import { type Engine, type SourceGiven, startEngine } from './engine.js';
import { EventList } from './event-list.js';
import { ImageCard } from './image-card.js';
import { linkTo, nameOf, type Page, PageProvider, type Progress, readAddress, useAnswer } from './page-context.js';
import { ReferenceList } from './reference-list.js';
import { TimeBar } from './time-bar.js';
import { Verdict } from './verdict.js';

interface AppProps {
  readonly source: SourceGiven;
  /** Text of the page's script. */
  readonly script: string;
}

/** The sections ask again while the log is read, once so many times as many events are there. */
const REASK_GROWTH = 2;
/** Milliseconds that the page waits for further events before it reads them. */
const GATHER_MS = 300;

/** The whole page. */
export function App({ source, script }: AppProps): JSX.Element {
  const [progress, setProgress] = useState<Progress>({ done: 0, total: 0, milliseconds: undefined });
  const [failure, setFailure] = useState<string>();
  const [version, setVersion] = useState(0);
  /** Events that were read when the sections last asked. */
  const asked = useRef(0);
  const engine = useRef<Engine | undefined>(undefined);
  engine.current ??= startEngine(source, script, {
    onBegun: () => setVersion((before) => before + 1),
    onProgress: (done, total) => {
      setProgress({ done, total, milliseconds: undefined });
      // Each answer costs more, the more was read.
      if (done < REASK_GROWTH * asked.current) return;
      asked.current = done;
      setVersion((before) => before + 1);
    },
    onRead: (milliseconds) => {
      setProgress((before) => ({ ...before, done: before.total, milliseconds }));
      setVersion((before) => before + 1);
    },
    onFailure: setFailure,
  });
  const { ask, refresh } = engine.current;
  const [shown, show] = useShown();
  const timeZone = shown.zone === 'utc' ? UTC : systemTimeZone();
  useEffect(() => (source.kind === 'server' ? followed(refresh) : undefined), []);
  const { answer: overview } = useAnswer(`${version}`, () => ask('overview'));
  useEffect(() => {
    document.title = titleOf(shown, overview?.origin);
  }, [shown, overview?.origin]);
  return (
    <main>
      <Verdict {...{ ask, overview, progress, failure, shown, timeZone }} />
      {overview?.range !== undefined && <Sections {...{ ask, overview, version, source, shown, show, timeZone }} />}
      {overview?.verdict !== undefined && overview.size === 0 && (
        <p class="note">
          Nothing has happened in this log yet. <code>imagelog load ARCHIVE</code> or a push writes the first events
          {source.kind === 'server' ? ', which appear here by themselves.' : '; then write this file again.'}
        </p>
      )}
    </main>
  );
}

/** Calls `refresh` when the server tells of events. Returns how to end that. */
function followed(refresh: () => void): () => void {
  const feed = new EventSource('events');
  let timer: ReturnType<typeof setTimeout> | undefined;
  feed.onmessage = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      refresh();
    }, GATHER_MS);
  };
  return () => {
    clearTimeout(timer);
    feed.close();
  };
}

/** Title of the window: names the step in the browser's history. */
function titleOf({ ref, image }: Shown, origin: string | undefined): string {
  const parts = [
    ...(image === undefined ? [] : [isDigest(image) ? shortId(image) : image]),
    ...(ref === undefined ? [] : [nameOf(ref)]),
    origin ?? 'imagelog',
  ];
  return parts.map(printable).join(' · ');
}

interface SectionsProps extends Pick<Page, 'ask' | 'overview' | 'version' | 'shown' | 'show' | 'timeZone'> {
  readonly source: SourceGiven;
}

function Sections({ source, ...props }: SectionsProps): JSX.Element | null {
  const { ask, overview, version, shown, timeZone } = props;
  const { range } = overview;
  const { answer, failure } = useAnswer(`${version} ${shown.at} ${timeZone}`, async () => ({
    moment: await ask('moment', { text: momentText(shown.at), nowMs: Date.now(), timeZone }),
    // With its moment: what is shown must not be called now before it is.
    isNow: shown.at === undefined,
  }));
  const from = range?.from ?? 0;
  const last = range?.to ?? 0;
  const axis = useMemo(() => {
    const end = source.kind === 'document' ? source.log.madeAt : Date.now();
    return { from, to: Math.max(last, end, from + 1) };
  }, [from, last]);
  if (failure !== undefined) {
    return (
      <p class="failure note" role="alert">
        {printable(failure)}. <a href={linkTo(shown, { at: undefined })}>Go to the end of the log</a>
      </p>
    );
  }
  if (answer === undefined || range === undefined) return null;
  const { moment, isNow } = answer;
  const page: Page = { ...props, moment, isNow, isLive: source.kind === 'server', axis };
  return (
    <PageProvider value={page}>
      <TimeBar />
      <ImageCard />
      <ReferenceList />
      <EventList />
      <Compare />
      <Audit />
    </PageProvider>
  );
}

function momentText(at: string | undefined): string {
  if (at === undefined) return 'now';
  return /^\d+$/.test(at) ? `@${at}` : at;
}

/** What is shown, from the address and back into it. */
function useShown(): [Shown, Page['show']] {
  const [shown, setShown] = useState(() => readAddress());
  useEffect(() => {
    const read = (): void => setShown(readAddress());
    addEventListener('popstate', read);
    addEventListener('hashchange', read);
    return () => {
      removeEventListener('popstate', read);
      removeEventListener('hashchange', read);
    };
  }, []);
  const show: Page['show'] = (change, { replaces = false } = {}) => {
    const next = { ...readAddress(), ...change };
    const address = formatAddress(next) || location.pathname + location.search;
    if (replaces) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
    setShown(readAddress());
  };
  return [shown, show];
}
