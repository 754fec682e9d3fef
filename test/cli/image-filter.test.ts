import test from 'ava';
import fc from 'fast-check';
import { imageRow } from '../../src/cli/image-fields.js';
import { imageFilter, pruneFilter } from '../../src/cli/image-filter.js';
import { imageFormat, listLines, type ListStyle } from '../../src/cli/image-format.js';
import { ListedFacts, listedImages, namedImages } from '../../src/cli/image-list.js';
import type { ImageSource } from '../../src/cli/query.js';
import { createColors } from '../../src/cli/render/text.js';
import type { ImageId } from '../../src/model/digest.js';
import { type Image, newFromJSON } from '../../src/model/image.js';
import { idNamed } from '../support/image-configs.js';
import { timeColumn } from '../../src/cli/render/times.js';

const CLOCK = { nowMs: 0, timeZone: 'UTC' };

interface Plain {
  readonly id: ImageId;
  readonly references: readonly string[];
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly createdMs: number;
  readonly image: Image;
}

const KEYS = ['team', 'tier', 'x.y'];
const VALUES = ['', 'a', 'b', 'a=b'];
const NAMES = ['docker.io/library/app:prod', 'docker.io/shop/app:prod', 'docker.io/shop/app:1', 'ghcr.io/x/y:prod'];
const PATTERNS = ['app', 'shop/*', '*:prod', '*/*:prod', 'ghcr.io/x/y'];

const anyLabels = fc.option(fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES), { maxKeys: 3 }), {
  nil: undefined,
});
const anyImage = fc.record({
  references: fc.subarray(NAMES),
  labels: anyLabels,
  createdMs: fc.integer({ min: 0, max: 20 }).map((seconds) => 1_700_000_000_000 + seconds * 1_000),
});
const anyLabelFilter = fc
  .tuple(fc.constantFrom(...KEYS), fc.option(fc.constantFrom(...VALUES.slice(1)), { nil: undefined }))
  .map(([key, value]) => (value === undefined ? key : `${key}=${value}`));
const anyFilters = fc.record({
  label: fc.array(anyLabelFilter, { maxLength: 2 }),
  'label!': fc.array(anyLabelFilter, { maxLength: 2 }),
  reference: fc.array(fc.constantFrom(...PATTERNS), { maxLength: 2 }),
  'reference!': fc.array(fc.constantFrom(...PATTERNS), { maxLength: 2 }),
  until: fc.array(fc.constantFrom('2023-11-14T22:13:30Z'), { maxLength: 1 }),
});
type Filters = typeof anyFilters extends fc.Arbitrary<infer Each> ? Each : never;

function plainImage({ references, labels, createdMs }: Omit<Plain, 'id' | 'image'>, at: number): Plain {
  const config = labels === undefined ? {} : { config: { Labels: labels } };
  const created = new Date(createdMs).toISOString();
  const json = JSON.stringify({ os: 'linux', rootfs: { type: 'layers', diff_ids: [] }, created, ...config });
  return { id: idNamed(`${at}`), references, labels, createdMs, image: newFromJSON(new TextEncoder().encode(json)) };
}

/** A source of images that counts the configs it reads. */
function sourceOf(images: readonly Plain[]): ImageSource & { reads: number } {
  const byId = new Map(images.map((image) => [image.id, image]));
  const source = {
    reads: 0,
    get(id: ImageId) {
      source.reads++;
      return byId.get(id)?.image;
    },
    references: (id: ImageId) => byId.get(id)?.references ?? [],
    children: () => [],
    imageEntries: () =>
      images.map(({ id, createdMs }) => ({ id, size: 0, created: { seconds: createdMs / 1_000, nanoseconds: 0 } })),
    referenceEntries: () => [],
  };
  return source as unknown as ImageSource & { reads: number };
}

/** Docker's rule for labels: MatchKVList of moby's filters.Args, KEY or KEY=VALUE split at the first `=`. */
function hasLabel(labels: Readonly<Record<string, string>> | undefined, filter: string): boolean {
  const [key = '', ...value] = filter.split('=');
  return labels !== undefined && Object.hasOwn(labels, key) && (value.length === 0 || labels[key] === value.join('='));
}

/** Docker's rule for names: reference.FamiliarMatch, with these patterns spelled out. */
function isNamed(reference: string, pattern: string): boolean {
  const matching: Readonly<Record<string, readonly number[]>> = {
    app: [0],
    'shop/*': [1, 2],
    '*:prod': [0],
    '*/*:prod': [1],
    'ghcr.io/x/y': [3],
  };
  return (matching[pattern] ?? []).some((at) => NAMES[at] === reference);
}

function fits({ labels, createdMs }: Plain, filters: Filters): boolean {
  return (
    filters.label.every((filter) => hasLabel(labels, filter)) &&
    !filters['label!'].some((filter) => hasLabel(labels, filter)) &&
    filters.until.every((time) => createdMs < Date.parse(time))
  );
}

function textsOf(filters: Filters): string[] {
  return Object.entries(filters).flatMap(([key, values]) => values.map((value) => `${key}=${value}`));
}

test('images are filtered as docker does: all labels, any pattern, and what ! takes away', (t) => {
  fc.assert(
    fc.property(fc.array(anyImage, { maxLength: 6 }), anyFilters, (described, filters) => {
      const images = described.map(plainImage);
      const source = sourceOf(images);
      const filter = imageFilter(textsOf(filters), source, CLOCK);
      const shows = (reference: string): boolean =>
        (filters.reference.length === 0 || filters.reference.some((pattern) => isNamed(reference, pattern))) &&
        !filters['reference!'].some((pattern) => isNamed(reference, pattern));
      for (const image of images) {
        const facts = new ListedFacts({ id: image.id, ...entryOf(source, image.id) }, source);
        const byName =
          image.references.length === 0 ? filters.reference.length === 0 : image.references.some((each) => shows(each));
        t.is(
          filter.fits(facts),
          fits(image, filters) && byName,
          JSON.stringify({ ...image, image: undefined, filters }),
        );
        for (const reference of image.references) t.is(filter.showsReference(reference), shows(reference));
      }
    }),
  );
});

function entryOf(source: ImageSource, id: ImageId): object {
  return source.imageEntries().find((entry) => entry.id === id) ?? {};
}

test('a prune is filtered by the same rules over all names ever, and keeps what it cannot judge', (t) => {
  fc.assert(
    fc.property(anyImage, anyFilters, fc.boolean(), (described, filters, isThere) => {
      const { id, image, ...plain } = plainImage(described, 0);
      const { references } = plain;
      const filter = pruneFilter(textsOf(filters), CLOCK);
      if (textsOf(filters).length === 0) {
        t.is(filter, undefined);
        return;
      }
      const isNamedSo =
        filters.reference.length === 0 ||
        references.some((each) => filters.reference.some((pattern) => isNamed(each, pattern)));
      const isKept = references.some((each) => filters['reference!'].some((pattern) => isNamed(each, pattern)));
      const needsConfig = filters.label.length + filters['label!'].length + filters.until.length > 0;
      const known = isThere ? fits({ id, image, ...plain }, filters) : !needsConfig;
      t.is(filter?.({ id, references, config: isThere ? image : undefined }), isNamedSo && !isKept && known);
    }),
  );
});

test('a filter names the keys there are, and until is one time', (t) => {
  const source = sourceOf([]);
  for (const [filters, message] of [
    [['colour=red'], /cannot filter by colour: the keys are reference, reference!, dangling, .* label, label!/],
    [['dangling!=true'], /cannot filter by dangling!/],
    [['label'], /the filter label needs a value: label=VALUE/],
    [['label!='], /the filter label! needs a value/],
    [['until=soon'], /"soon" is not a point in time/],
    [['until=12'], /the filter until is a time/],
    [['until=1h', 'until=2h'], /the filter until is given once/],
  ] as const) {
    t.throws(() => imageFilter(filters, source, CLOCK), { name: 'UsageError', message });
  }
  t.throws(() => pruneFilter(['os=linux'], CLOCK), {
    message: /cannot filter by os: the keys are reference, reference!, until/,
  });
});

test('of a long list only what is written is read', (t) => {
  const count = 2_000;
  const source = sourceOf(
    Array.from({ length: count }, (_, at) =>
      plainImage(
        { references: [`docker.io/library/a:${at}`], labels: undefined, createdMs: 1_700_000_000_000 + at * 1_000 },
        at,
      ),
    ),
  );
  const filter = imageFilter(['reference=a'], source, CLOCK);
  const style: ListStyle = {
    now: 0,
    timeZone: 'UTC',
    created: timeColumn('CREATED', [], 'UTC'),
    truncates: true,
    targetOf: () => undefined,
    colors: createColors(false),
    width: undefined,
    showsDigests: false,
    referenceWidth: () => 40,
  };
  const rows = function* () {
    for (const named of namedImages(listedImages(source, filter.fits), filter.showsReference)) yield imageRow(named);
  };
  const table = listLines(imageFormat('table') as never, rows(), style)[Symbol.iterator]();
  t.regex(String(table.next().value), /^REFERENCE {33}IMAGE ID/);
  t.regex(String(table.next().value), /^a:1999 /);
  t.is(source.reads, 64);
  const lines = [...listLines(imageFormat('{{.ID}} {{.Size}}') as never, rows(), style)];
  t.is(lines.length, count);
  t.is(source.reads, 64, 'neither needs a config');
});
