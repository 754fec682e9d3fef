import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { countText, printable } from '../../model/texts.js';
import type { ReferenceRow } from '../questions.js';
import { ChosenReference } from './chosen-reference.js';
import { Cut } from './data-table.js';
import { Breakable, ImageLink, Since } from './facts.js';
import { Lane } from './lane.js';
import { linkTo, useAnswer, useFocusNext, usePage } from './page-context.js';

/** References shown at first, and added by each step. */
const PAGE_ROWS = 50;

/** References as of the moment, each with its lane. */
export function ReferenceList(): JSX.Element {
  const { ask, moment, version, shown, show } = usePage();
  const text = shown.q ?? '';
  const [limit, setLimit] = useState(PAGE_ROWS);
  const { list, focusNext } = useFocusNext<HTMLUListElement>('.name');
  const { answer, failure } = useAnswer(`${version} ${moment.seq} ${limit} ${text}`, () =>
    ask('references', { seq: moment.seq, text, limit }),
  );
  return (
    <section class="references" aria-labelledby="references-title">
      <div class="section-head">
        <h2 id="references-title" tabIndex={-1}>
          References
        </h2>
        <label class="search">
          <span class="hidden">Search for references and events</span>
          <input
            type="search"
            value={text}
            placeholder="Search: a name, *:prod, a digest, a person, a request id"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => show({ q: event.currentTarget.value || undefined }, { replaces: true })}
          />
        </label>
        <p class="quiet" role="status">
          {answer === undefined ? '' : countsText(answer)}
        </p>
      </div>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {printable(failure)}
        </p>
      )}
      {shown.ref !== undefined && <ChosenReference reference={shown.ref} />}
      {answer !== undefined && answer.count === 0 && <NothingFound readAs={answer.readAs} />}
      <ul class="rows" ref={list}>
        {answer?.rows.map((row) => (
          <Row key={row.reference} row={row} />
        ))}
      </ul>
      {answer !== undefined && answer.count > answer.rows.length && (
        <Cut shown={answer.rows.length} count={answer.count} what="references" />
      )}
      {answer !== undefined && answer.count > answer.rows.length && (
        <button
          type="button"
          class="more"
          onClick={() => {
            focusNext(answer.rows.length);
            setLimit(limit + PAGE_ROWS);
          }}
        >
          Show more of {answer.count.toLocaleString('en')}
        </button>
      )}
    </section>
  );
}

/** What to do when no name is there. */
function NothingFound({ readAs }: { readonly readAs: readonly string[] }): JSX.Element {
  const { shown, isNow } = usePage();
  const { q } = shown;
  return (
    <p class="note">
      {q === undefined
        ? 'No name had been set by then. '
        : readAs.length === 0
          ? `Nothing fits “${printable(q)}”: names and parts of them, patterns as *:prod, four or more digits of a digest, people and request ids are found. `
          : 'No name fits at this moment. '}
      {q !== undefined && <a href={linkTo(shown, { q: undefined })}>Show all names</a>}
      {q !== undefined && !isNow && ' · '}
      {!isNow && <a href={linkTo(shown, { at: undefined })}>Go to the end of the log</a>}
    </p>
  );
}

function countsText({
  count,
  removed,
  readAs,
}: {
  readonly count: number;
  readonly removed: number;
  readonly readAs: readonly string[];
}): string {
  const gone = removed === 0 ? '' : `, ${removed} of them removed`;
  const how = readAs.length === 0 ? '' : ` · ${readAs.map(printable).join(', ')}`;
  return `${countText(count, 'reference')}${gone}${how}`;
}

function Row({ row }: { readonly row: ReferenceRow }): JSX.Element {
  const { shown } = usePage();
  const { name, reference, image, target, isRemoved, event } = row;
  const isChosen = shown.ref === reference;
  const points = image ?? target;
  return (
    <li class={`row${isRemoved ? ' removed' : ''}${isChosen ? ' chosen' : ''}`}>
      <div class="row-text">
        <a class="name" href={linkTo(shown, { ref: isChosen ? undefined : reference })} aria-current={isChosen}>
          <Breakable text={name} />
        </a>
        <span class="points">
          {isRemoved || points === undefined ? (
            'removed'
          ) : (
            <ImageLink digest={points} kind={image === undefined ? 'artifact ' : ''} />
          )}
        </span>
        <p class="quiet">
          <Since event={event} />
        </p>
      </div>
      <Lane row={row} />
    </li>
  );
}
