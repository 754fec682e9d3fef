import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { thrownText } from '../../errors.js';
import { isDigest } from '../../model/digest.js';
import { countText, platformText, printable, shortId, sizeText } from '../../model/texts.js';
import type { EventLine } from '../as-of.js';
import type { ArtifactCard, ImageCard as Card } from '../image-card.js';
import { Artifacts, ConfigTable, Layers, Names, Parents, Steps } from './card-tables.js';
import { ImageLink, Why } from './facts.js';
import { ImageComparison } from './compare.js';
import { linkTo, useAnswer, useFocusBack, usePage } from './page-context.js';
import { dayAndTime } from './times.js';

/** The image or artifact that is looked at; nothing when there is none. */
export function ImageCard(): JSX.Element | null {
  const { shown } = usePage();
  // A page that is opened with a card begins at its top.
  const first = useRef(shown.image);
  if (first.current !== shown.image) first.current = undefined;
  if (shown.image === undefined) return null;
  return <CardOf name={shown.image} takesFocus={first.current === undefined} />;
}

interface CardProps {
  readonly name: string;
  readonly takesFocus: boolean;
}

function CardOf({ name, takesFocus }: CardProps): JSX.Element {
  const { ask, moment, shown, version } = usePage();
  const { seq } = moment;
  const { answer, failure, isOld } = useAnswer(`${version} ${seq} ${name}`, async () => {
    const digest = isDigest(name) ? name : (await ask('findNamed', { text: name, seq })).digest;
    return { card: await ask('card', { digest, seq }) };
  });
  const card = answer?.card;
  useFocusBack();
  const section = useRef<HTMLElement>(null);
  const focused = useRef('');
  const isReady = answer !== undefined && !isOld;
  // The card is above what led to it.
  useEffect(() => {
    if (!isReady || focused.current === name) return;
    // Not again when the moment moves.
    focused.current = name;
    if (takesFocus) section.current?.focus();
  }, [name, isReady]);
  const nothing = answer !== undefined && card === undefined;
  return (
    <section class="card" aria-labelledby="card-title" tabIndex={-1} ref={section}>
      <div class="card-head">
        <h2 id="card-title">
          {titleOf(card)} <code>{card === undefined ? printable(name) : shortId(digestOf(card))}</code>
        </h2>
        <a
          class="close"
          href={linkTo(shown, { image: undefined, from: isDigest(shown.from ?? '') ? undefined : shown.from })}
          aria-label="Close the card"
        >
          Close
        </a>
      </div>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {printable(failure)}
        </p>
      )}
      {nothing && <p class="note">No image, manifest, index or artifact of this log has this digest.</p>}
      {card?.kind === 'image' && <ImageParts card={card} />}
      {card !== undefined && card.kind !== 'image' && <ArtifactParts card={card} />}
    </section>
  );
}

function titleOf(card: Card | ArtifactCard | undefined): string {
  if (card === undefined || card.kind === 'image') return 'Image';
  return card.kind === 'index' ? 'Index' : 'Artifact';
}

function digestOf(card: Card | ArtifactCard): Card['image'] | ArtifactCard['artifact']['digest'] {
  return card.kind === 'image' ? card.image : card.artifact.digest;
}

function ImageParts({ card }: { readonly card: Card }): JSX.Element {
  const { shown } = usePage();
  const { image, created, deleted, erased, wrong, isPresent, via } = card;
  return (
    <>
      <p class="sentence">
        <ImageSentence card={card} />
      </p>
      <State {...{ begun: created, ended: deleted, erased, wrong, isPresent }} words={['loaded', 'deleted']} />
      {via !== undefined && (
        <p class="sentence">
          <code>{shortId(via.digest)}</code> is its {via.kind}.
        </p>
      )}
      <ImageIds card={card} />
      <Names names={card.names} file={`names-${shortId(image)}`} />
      <Layers card={card} />
      <Steps card={card} />
      <Parents card={card} />
      <Artifacts rows={card.artifacts} isCut={card.isCut} file={`artifacts-${shortId(image)}`} />
      <ConfigTable card={card} />
      <CompareForm />
      {shown.from !== undefined && isDigest(shown.from) && <ImageComparison before={shown.from} after={image} />}
    </>
  );
}

function ImageSentence({ card: { platform, built, layers, sizes } }: { readonly card: Card }): JSX.Element {
  const { timeZone } = usePage();
  return (
    <>
      {platform === '' ? 'Platform unknown' : printable(platform)}
      {/* Builds that are to be the same each time say the epoch, or Go's year 1. */}
      {built !== undefined && built > 0 && `, built ${dayAndTime(built, timeZone)}`},{' '}
      {countText(layers.length, 'layer')}
      {sizes !== undefined && layers.length > 0 && (
        <>
          {' '}
          of <strong>{sizeText(sizes.total)}</strong>: {sizeText(sizes.unique)} of its own, {sizeText(sizes.shared)}{' '}
          shared with other images
        </>
      )}
      .
    </>
  );
}

interface StateProps {
  readonly begun: EventLine | undefined;
  readonly ended: EventLine | undefined;
  readonly erased: EventLine | undefined;
  readonly wrong: string | undefined;
  readonly isPresent: boolean;
  readonly words: readonly [begun: string, ended: string];
}

/** What began and ended it, and why. */
function State({ begun, ended, erased, wrong, isPresent, words }: StateProps): JSX.Element {
  return (
    <>
      {begun !== undefined && <Happened what={words[0]} event={begun} />}
      {begun === undefined && !isPresent && <p class="state bad">It was not in the store yet.</p>}
      {begun === undefined && isPresent && (
        <p class="state quiet">{words[0]} before the first event that this page has</p>
      )}
      {ended !== undefined && <Happened what={words[1]} event={ended} isBad />}
      {erased !== undefined && <Happened what="its content erased" event={erased} isBad />}
      {wrong !== undefined && <p class="state bad">its content is damaged, and not shown: {printable(wrong)}</p>}
    </>
  );
}

interface HappenedProps {
  readonly what: string;
  readonly event: EventLine;
  readonly isBad?: boolean;
}

function Happened({ what, event, isBad = false }: HappenedProps): JSX.Element {
  const { timeZone, shown } = usePage();
  return (
    <p class={isBad ? 'state bad' : 'state quiet'}>
      {what} {dayAndTime(event.time, timeZone)} by {printable(event.actor)}
      <Why event={event} /> · event{' '}
      <a
        class="seq"
        href={linkTo(shown, { at: `${event.seq}` })}
        aria-label={`Event ${event.seq}: show the log as of it`}
      >
        {event.seq}
      </a>
    </p>
  );
}

function ImageIds({ card }: { readonly card: Card }): JSX.Element {
  const { image, configSize, manifests, indexes } = card;
  return (
    <dl class="ids">
      <dt>Config</dt>
      <dd>
        <code>{image}</code>
        {configSize !== undefined && <span class="quiet"> {sizeText(configSize)}</span>}
      </dd>
      {manifests.length > 0 && <dt>{manifests.length === 1 ? 'Manifest' : 'Manifests'}</dt>}
      {manifests.map(({ digest, size }) => (
        <dd key={digest}>
          <code>{digest}</code> <span class="quiet">{sizeText(size)}</span>
        </dd>
      ))}
      {indexes.length > 0 && <dt>{indexes.length === 1 ? 'Index' : 'Indexes'}</dt>}
      {indexes.map(({ digest, platforms, contains }) => (
        <dd key={digest}>
          <code>{digest}</code>
          {platforms.length > 0 && (
            <ul class="platforms" aria-label="Platforms">
              {platforms.map((each) => (
                <li key={`${each.image} ${platformText(each)}`}>
                  {printable(platformText(each))}{' '}
                  {each.image === image ? <span class="quiet">this image</span> : <ImageLink digest={each.image} />}
                </li>
              ))}
            </ul>
          )}
          {contains.length > 0 && (
            <ul class="platforms" aria-label="Contents of the index">
              {contains.map((each) => (
                <li key={each.digest}>
                  <ImageLink digest={each.digest} />{' '}
                  <span class="quiet">
                    {printable(each.mediaType)}, {sizeText(each.size)}
                  </span>
                </li>
              ))}
            </ul>
          )}
        </dd>
      ))}
    </dl>
  );
}

function ArtifactParts({ card }: { readonly card: ArtifactCard }): JSX.Element {
  const { artifact, artifactType, subject, contains, blobs, totalSize, isPresent, added, removed } = card;
  const short = shortId(artifact.digest);
  const descriptors = (title: string, all: ArtifactCard['blobs'], links: boolean): JSX.Element | null =>
    all.length === 0 ? null : (
      <>
        <dt>{title}</dt>
        {all.map(({ digest, size, mediaType }, at) => (
          <dd key={`${digest} ${at}`}>
            {links ? <ImageLink digest={digest} /> : <code>{digest}</code>}{' '}
            <span class="quiet">
              {printable(mediaType)}, {sizeText(size)}
            </span>
          </dd>
        ))}
      </>
    );
  return (
    <>
      <p class="sentence">
        {printable(artifactType === '' ? artifact.mediaType : artifactType)}, {sizeText(totalSize)}
        {subject !== undefined && (
          <>
            , about <ImageLink digest={subject.digest} />
          </>
        )}
        .
      </p>
      <State
        begun={isPresent || removed !== undefined ? added : undefined}
        ended={removed}
        {...{ erased: card.erased, wrong: card.wrong, isPresent }}
        words={['added', 'removed']}
      />
      <dl class="ids">
        <dt>Digest</dt>
        <dd>
          <code>{artifact.digest}</code> <span class="quiet">{sizeText(artifact.size)}</span>
        </dd>
        {descriptors('Contains', contains, true)}
        {descriptors('Config and layers', blobs, false)}
      </dl>
      <Names names={card.names} file={`names-${short}`} />
      <Artifacts rows={card.artifacts} isCut={card.isCut} file={`artifacts-${short}`} />
    </>
  );
}

/** Asks which image to compare with. */
function CompareForm(): JSX.Element {
  const { ask, moment, show } = usePage();
  const [failure, setFailure] = useState<string>();
  const compare = async (text: string): Promise<void> => {
    try {
      const { digest } = await ask('findNamed', { text, seq: moment.seq });
      setFailure(undefined);
      show({ from: digest });
    } catch (error) {
      setFailure(thrownText(error));
    }
  };
  return (
    <form
      class="fields compare-form"
      onSubmit={(event) => {
        event.preventDefault();
        const text = new FormData(event.currentTarget).get('other');
        if (typeof text === 'string' && text.trim() !== '') void compare(text);
      }}
    >
      <label>
        Compare with another image
        <input name="other" placeholder="shop/app:1.0 or 3fa2b1…" autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit">Compare</button>
      {failure !== undefined && (
        <p class="failure" role="alert">
          {printable(failure)}
        </p>
      )}
    </form>
  );
}
