import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isDigest } from '../../model/digest.js';
import { familiarReference } from '../../model/reference.js';
import { printable, shortId } from '../../model/texts.js';
import { UTC } from '../../model/time-zone.js';
import { formatAddress, parseAddress, type Shown } from '../address.js';
import { Audit } from './audit.js';
import { Compare } from './compare.js';
import { type Engine, type SourceGiven, startEngine } from './engine.js';
import { EventList } from './event-list.js';
import { ImageCard } from './image-card.js';
import { linkTo, ownZone, type Page, PageProvider, type Progress, useAnswer } from './page-context.js';
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
/** Milliseconds until it asks a server again that answered with no feed. */
const FOLLOW_AGAIN_MS = 5_000;

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
      setProgress((before) => ({ ...before, done, total }));
      // Each answer costs more, the more was read.
      if (done < REASK_GROWTH * asked.current) return;
      asked.current = done;
      setVersion((before) => before + 1);
    },
    onRead: (spent) => {
      setFailure(undefined);
      setProgress((before) => ({ ...before, done: before.total, milliseconds: (before.milliseconds ?? 0) + spent }));
      setVersion((before) => before + 1);
    },
    onFailure: (why) => setFailure(why),
  });
  const { ask, refresh } = engine.current;
  const [shown, show] = useShown();
  const timeZone = shown.zone === 'utc' ? UTC : ownZone();
  useEffect(() => (source.kind === 'server' && !source.isPast ? followed(refresh) : undefined), []);
  const { answer: overview } = useAnswer(`${version}`, () => ask('overview'));
  useEffect(() => {
    document.title = titleOf(shown, overview?.origin);
  }, [shown, overview?.origin]);
  // What was read so far changes often, and nothing in them.
  const sections = useMemo(
    () => overview?.range !== undefined && <Sections {...{ ask, overview, version, source, shown, show, timeZone }} />,
    [overview, version, shown, timeZone],
  );
  return (
    <main>
      <Verdict
        {...{ ask, overview, version, progress, failure, shown, timeZone }}
        madeAt={source.kind === 'document' ? source.log.madeAt : undefined}
        isPast={source.kind === 'server' && source.isPast}
      />
      {sections}
      {overview?.verdict !== undefined && overview.size === 0 && (
        <p class="note">
          Nothing has happened in this log yet. <code>imagelog load ARCHIVE</code> or a push writes the first events
          {source.kind === 'server' ? ', which appear here by themselves.' : '; then write this file again.'}
        </p>
      )}
    </main>
  );
}

/**
 * Calls `refresh` when the server tells of events, and when it is there again: what happened meanwhile is
 * in no feed. Returns how to end that.
 */
function followed(refresh: () => void): () => void {
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let feed: EventSource | undefined;
  const gather = (): void => {
    gathering ??= setTimeout(() => {
      gathering = undefined;
      refresh();
    }, GATHER_MS);
  };
  const follow = (): void => {
    feed = new EventSource('events');
    feed.onopen = gather;
    feed.onmessage = gather;
    feed.onerror = () => {
      // The reading tells what is wrong.
      gather();
      // What is no feed ends it, as the answer of a proxy while the server restarts.
      if (feed?.readyState === EventSource.CLOSED) waiting = setTimeout(follow, FOLLOW_AGAIN_MS);
    };
  };
  follow();
  return () => {
    clearTimeout(gathering);
    clearTimeout(waiting);
    feed?.close();
  };
}

/** Title of the window: names the step in the browser's history. */
function titleOf({ ref, image }: Shown, origin: string | undefined): string {
  const parts = [
    ...(image === undefined ? [] : [isDigest(image) ? shortId(image) : image]),
    ...(ref === undefined ? [] : [familiarReference(ref)]),
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
    const end =
      source.kind === 'document' ? (source.log.until ?? source.log.madeAt) : source.isPast ? last : Date.now();
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
  const page: Page = { ...props, moment, isNow, end: endOf(source), axis };
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

function endOf(source: SourceGiven): Page['end'] {
  if (source.kind === 'document') return 'file';
  return source.isPast ? 'server' : 'now';
}

function momentText(at: string | undefined): string {
  if (at === undefined) return 'now';
  return /^\d+$/.test(at) ? `@${at}` : at;
}

/** What is shown, from the address and back into it. */
function useShown(): [Shown, Page['show']] {
  const [shown, setShown] = useState(() => parseAddress(location.hash));
  useEffect(() => {
    const read = (): void => setShown(parseAddress(location.hash));
    addEventListener('popstate', read);
    addEventListener('hashchange', read);
    return () => {
      removeEventListener('popstate', read);
      removeEventListener('hashchange', read);
    };
  }, []);
  const show: Page['show'] = (change, { replaces = false } = {}) => {
    const next = { ...parseAddress(location.hash), ...change };
    const address = formatAddress(next) || location.pathname + location.search;
    if (replaces) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
    setShown(parseAddress(location.hash));
  };
  return [shown, show];
}
