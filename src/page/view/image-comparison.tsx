import type { ComponentChildren, JSX } from 'preact';
import type { Digest } from '../../model/digest.js';
import { countText, printable, shortId, sizeText } from '../../model/texts.js';
import type { ComparedImage, ImageDifferences, KeyDifference } from '../compare.js';
import type { LayerLine } from '../image-card.js';
import { largestOf, layerColumns } from './card-tables.js';
import { type Column, DataTable } from './data-table.js';
import { ImageLink } from './facts.js';
import { linkTo, usePage, useAnswer } from './page-context.js';

interface ComparisonProps {
  readonly before: Digest;
  readonly after: Digest;
}

/** Two images beside each other: what their layers and configs have in common, and what not. */
export function ImageComparison({ before, after }: ComparisonProps): JSX.Element {
  const { ask, moment, shown, version } = usePage();
  const { seq } = moment;
  const { answer, failure } = useAnswer(`${version} ${seq} ${before} ${after}`, () =>
    ask('compareImages', { before, after, seq }),
  );
  return (
    <section class="comparison" aria-labelledby="comparison-title">
      <h3 id="comparison-title">
        Compared with <code>{shortId(before)}</code>
      </h3>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {printable(failure)}
        </p>
      )}
      {answer !== undefined && <Differences answer={answer} />}
      <p>
        <a href={linkTo(shown, { from: undefined })}>End the comparison</a>
      </p>
    </section>
  );
}

function Differences({ answer }: { readonly answer: ImageDifferences }): JSX.Element {
  const { before, after, common, beforeOnly, afterOnly, keys, sameKeys } = answer;
  const file = `${shortId(before.image)}-${shortId(after.image)}`;
  const rows: LayerSide[] = [
    ...common.map((layer) => ({ ...layer, side: 'both' as const })),
    ...beforeOnly.map((layer) => ({ ...layer, side: 'before' as const })),
    ...afterOnly.map((layer) => ({ ...layer, side: 'after' as const })),
  ];
  const largest = largestOf(rows);
  const sideTexts = { both: 'both', before: shortId(before.image), after: shortId(after.image) };
  const columns: Column<LayerSide>[] = [
    {
      title: 'Only in',
      text: ({ side }) => sideTexts[side],
      cell: ({ side }) => <span class={`side ${side}`}>{`${MARKS[side]} ${sideTexts[side]}`}</span>,
    },
    ...layerColumns(largest).slice(0, -1),
  ];
  return (
    <>
      <p class="sentence" role="status">
        <Side image={before} /> and <Side image={after} />: {countText(common.length, 'common layer')},{' '}
        {beforeOnly.length} only in the first, {afterOnly.length} only in the second;{' '}
        {before.hasConfig && after.hasConfig
          ? `${countText(keys.length, 'config value')} different, ${sameKeys} the same.`
          : 'the config of one is not here.'}
      </p>
      <DataTable
        caption="Layers of both"
        columns={columns}
        rows={rows}
        keyOf={({ side, chainId }) => `${side} ${chainId}`}
        file={`layers-${file}`}
      />
      <Keys keys={keys} before={before} after={after} file={`config-${file}`} />
    </>
  );
}

interface LayerSide extends LayerLine {
  readonly side: 'both' | 'before' | 'after';
}

const MARKS = { both: '=', before: '−', after: '+' } as const;

function Side({ image: { image, names, size } }: { readonly image: ComparedImage }): JSX.Element {
  return (
    <>
      <ImageLink digest={image} />
      {names.length > 0 && ` (${names.map(printable).join(', ')})`}
      {size !== undefined && `, ${sizeText(size)}`}
    </>
  );
}

interface KeysProps extends Pick<ImageDifferences, 'keys' | 'before' | 'after'> {
  readonly file: string;
}

function Keys({ keys, before, after, file }: KeysProps): JSX.Element {
  const value = (text: string | undefined): ComponentChildren =>
    text === undefined ? <span class="quiet">not set</span> : <code>{printable(text)}</code>;
  const columns: Column<KeyDifference>[] = [
    { title: 'Key', text: ({ key }) => key },
    { title: shortId(before.image), text: (row) => row.before, cell: (row) => value(row.before) },
    { title: shortId(after.image), text: (row) => row.after, cell: (row) => value(row.after) },
  ];
  return (
    <DataTable caption="Config values that differ" columns={columns} rows={keys} keyOf={({ key }) => key} file={file} />
  );
}
