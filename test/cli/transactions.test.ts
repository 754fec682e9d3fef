import { stripVTControlCharacters } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { summaryFormat, wholeFormat } from '../../src/log/event-json.js';
import { FormerNames, readTransactions } from '../../src/cli/transactions.js';
import { displayWidth } from '../../src/cli/render/display-width.js';
import { eventTable } from '../../src/cli/render/event-table.js';
import { flow } from '../../src/cli/render/flow.js';
import { printable } from '../../src/model/texts.js';
import { createColors } from '../../src/cli/render/text.js';
import { type LogDrawing, transactionLine, transactionTable } from '../../src/cli/render/transaction-lines.js';
import { summarizeTransaction, TransactionTally } from '../../src/log/transaction-summary.js';
import type { ChainId, Descriptor, DiffId } from '../../src/model/digest.js';
import { eventTypes } from '../../src/model/event-table.js';
import type { EventBody, EventType, LayerFacts, StoredEvent } from '../../src/model/events.js';
import { compileFilter, type EventFilter, type ReadOptions } from '../../src/store/follow/event-filter.js';
import { anyEvent, bodyArbitraries } from '../support/event-arbitraries.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';
import { idNamed } from '../support/image-configs.js';

const signal = new AbortController().signal;
const plain = createColors(false);

function talliedOf(bodies: readonly EventBody[], chosen: (event: StoredEvent) => boolean = () => false) {
  const tally = new TransactionTally();
  for (const event of eventsFrom(1, bodies)) tally.add(event, chosen(event));
  return tally;
}

/** The sentence of a transaction, with each image's own name for its id. */
function sentenceOf(bodies: readonly EventBody[], chosen?: (event: StoredEvent) => boolean): string {
  return summarizeTransaction(talliedOf(bodies, chosen), { ...summaryFormat, id: nameOf }).phrases.join(' ');
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

function nameOf(digest: string): string {
  return NAMES.find((name) => idNamed(name) === digest) ?? digest.slice('sha256:'.length, 'sha256:'.length + 12);
}

const set = (reference: string, name: string, previous?: string): EventBody => ({
  type: 'ReferenceSet',
  reference: `docker.io/library/${reference}`,
  image: idNamed(name),
  ...(previous === undefined ? {} : { previous: idNamed(previous) }),
});
const removed = (reference: string, name: string): EventBody => ({
  type: 'ReferenceRemoved',
  reference: `docker.io/library/${reference}`,
  image: idNamed(name),
});
const deleted = (name: string): EventBody => ({ type: 'ImageDeleted', image: idNamed(name) });
const erased = (name: string, size: number): EventBody => ({ type: 'ContentErased', digest: idNamed(name), size });
const descriptor = (name: string): Descriptor => ({ mediaType: 'application/x', digest: idNamed(name), size: 1 });
const layerFacts: LayerFacts = {
  chainId: idNamed('c') as string as ChainId,
  diffId: idNamed('d') as string as DiffId,
  size: 10,
  diffSize: 10,
  blob: descriptor('e'),
};
const layer: EventBody = { type: 'LayerAdded', ...layerFacts };
const layerGone: EventBody = { type: 'LayerRemoved', ...layerFacts };
const manifest: EventBody = { type: 'ManifestAdded', image: idNamed('a'), manifest: descriptor('b'), layers: [] };
const parent: EventBody = { type: 'ParentSet', image: idNamed('a'), parent: idNamed('b') };
const orphaned: EventBody = { type: 'ParentCleared', image: idNamed('a'), parent: idNamed('b') };

const says = test.macro({
  title: (_, sentence: string) => `a transaction says: ${sentence}`,
  exec: (t: ExecutionContext, sentence: string, bodies: readonly EventBody[]) => t.is(sentenceOf(bodies), sentence),
});

test(says, 'load 2 images, 2 layers, 2 tags: x:1 → a, x:2 → b', [
  layer,
  creationOf('a'),
  manifest,
  set('x:1', 'a'),
  layer,
  creationOf('b'),
  set('x:2', 'b'),
]);
test(says, 'load 1 image a linux/amd64, 1 layer', [layer, creationOf('a')]);
test(says, 'load 1 image, 1 parent, 1 tag: x:1 → a', [creationOf('a'), parent, set('x:1', 'a')]);
test(says, 'load 1 image, 5 tags: x:9 → a (was b), x:1 → a, x:2 → a, and 2 more', [
  creationOf('a'),
  ...['x:1', 'x:2', 'x:3', 'x:4'].map((name) => set(name, 'a')),
  set('x:9', 'a', 'b'),
]);
test(says, 'load 1 image a linux/amd64', [creationOf('a')]);
test(says, 'load 1 layer c 10 B', [layer]);
test(says, 'tag x:1 → a', [set('x:1', 'a')]);
test(says, 'tag x:1 → a (was b)', [set('x:1', 'a', 'b')]);
test(says, 'tag x:1 → a (as before)', [set('x:1', 'a', 'a')]);
test(says, 'untag x:1 (was a)', [removed('x:1', 'a')]);
test(says, 'rm 1 image a', [deleted('a')]);
test(says, 'rm 1 image a (names: x:1, x:2), 1 layer', [
  removed('x:1', 'a'),
  removed('x:2', 'a'),
  deleted('a'),
  layerGone,
]);
test(says, 'rm 1 image a, 1 layer; clear parent a (was b)', [orphaned, deleted('a'), layerGone]);
test(says, 'rm 1 image a; tag x:1 → b (was a)', [set('x:1', 'b', 'a'), deleted('a')]);
test(says, 'rm 1 layer c 10 B', [layerGone]);
test(says, 'erase blob a 5 B', [erased('a', 5)]);
test(says, 'erase 2 blobs, 12 B: a 5 B, b 7 B', [erased('a', 5), erased('b', 7)]);
test(says, 'set parent a from b', [parent]);
test(says, 'set metadata value a note = later', [
  { type: 'MetadataSet', image: idNamed('a'), key: 'note', value: new TextEncoder().encode('later') },
]);
test(says, 'clear metadata value a note', [{ type: 'MetadataCleared', image: idNamed('a'), key: 'note' }]);

test('what a filter chose is named first, also where nothing would be named', (t) => {
  const bodies = [...NAMES.map(creationOf), ...NAMES.map((name) => set(`x:${name}`, name))];
  t.is(
    sentenceOf(bodies, (event) => event.type === 'ReferenceSet' && event.reference.endsWith('x:f')),
    'load 6 images, 6 tags: x:f → f, x:a → a, x:b → b, and 3 more',
  );
  t.is(
    sentenceOf(bodies, (event) => event.type === 'ImageCreated' && event.image === idNamed('e')),
    'load 6 images (e linux/amd64), 6 tags: x:a → a, x:b → b, x:c → c, and 3 more',
  );
  // All were asked for: none comes before the others.
  t.is(
    sentenceOf(bodies, () => true),
    'load 6 images, 6 tags: x:a → a, x:b → b, x:c → c, and 3 more',
  );
});

/** Bodies with a name as the log has them. */
function named(bodies: fc.Arbitrary<EventBody>): fc.Arbitrary<EventBody> {
  return bodies.map((body) => ('reference' in body ? { ...body, reference: 'docker.io/shop/app:prod' } : body));
}

const tellsAlone = test.macro({
  title: (_, type: EventType) => `a transaction of any ${type} has a verb and a summary`,
  exec: (t: ExecutionContext, type: EventType) => {
    fc.assert(
      fc.property(anyEvent(named(bodyArbitraries[type])), (event) => {
        const tally = new TransactionTally();
        tally.add(event);
        const { verb, phrases } = summarizeTransaction(tally, summaryFormat);
        t.true(phrases.join(' ').startsWith(`${verb} `));
        t.true(phrases.join(' ').length > verb.length + 1);
      }),
      { numRuns: 20 },
    );
  },
});

for (const type of eventTypes) test(tellsAlone, type);

test('a summary does not depend on the order in which the events are read', (t) => {
  const bodies = fc.array(named(fc.oneof(...Object.values(bodyArbitraries))), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(bodies, fc.infiniteStream(fc.nat()), (drawn, numbers) => {
      const events = eventsFrom(1, drawn);
      const forward = new TransactionTally();
      const shuffled = new TransactionTally();
      const order = new Map(events.map((event) => [event, numbers.next().value ?? 0]));
      for (const event of events) forward.add(event, event.seq % 3 === 0);
      for (const event of events.toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))) {
        shuffled.add(event, event.seq % 3 === 0);
      }
      t.deepEqual(summarizeTransaction(shuffled, summaryFormat), summarizeTransaction(forward, summaryFormat));
      t.is(shuffled.last?.seq, forward.last?.seq);
    }),
    { numRuns: 60 },
  );
});

test('a transaction of 60,000 events is counted, and 8 events of a type are kept', (t) => {
  const tally = new TransactionTally();
  const count = 60_000;
  for (let seq = count; seq > 0; seq--) {
    const body = seq % 2 === 0 ? creationOf('a') : set(`x:${seq}`, 'a', 'b');
    tally.add({ seq, time: 1, actor: 'tester', transaction: { first: 1, count }, ...body });
  }
  t.is(tally.size, count);
  t.is(tally.last?.seq, count);
  t.deepEqual(
    tally.named('ReferenceSet').map(({ seq }) => seq),
    [1, 3, 5, 7, 9, 11, 13, 15],
  );
  t.is(tally.named('ImageCreated').length, 8);
  const { phrases } = summarizeTransaction(tally, summaryFormat);
  t.deepEqual([phrases[0], phrases[1], phrases.at(-1)], ['load 30000 images,', '30000 tags:', 'and 29992 more']);
});

/** A log in memory that remembers how many events were read. */
class ListLog {
  readonly events: readonly StoredEvent[];
  readCount = 0;

  constructor(events: readonly StoredEvent[]) {
    this.events = events;
  }

  async *read({ from = 1, to = this.events.length, reverse, limit = Number.MAX_VALUE, filter }: ReadOptions = {}) {
    const { passes = () => true } = compileFilter(filter);
    const range = this.events.filter(({ seq }) => seq >= from && seq <= to);
    let left = limit;
    for (const event of reverse === true ? range.toReversed() : range) {
      if (left <= 0) return;
      this.readCount += 1;
      if (!passes(event)) continue;
      left -= 1;
      yield event;
    }
  }
}

function logOf(sizes: readonly number[]): ListLog {
  let first = 1;
  const events: StoredEvent[] = [];
  for (const size of sizes) {
    const bodies = Array.from({ length: size }, (_, at) =>
      at % 3 === 0 ? set(`x:${(first + at) % 5}`, 'a') : creationOf('b'),
    );
    events.push(...eventsFrom(first, bodies));
    first += size;
  }
  return new ListLog(events);
}

test('readTransactions gives each transaction that has a selected event, once, whole and in order', async (t) => {
  const filters: readonly EventFilter[] = [
    {},
    { type: 'ReferenceSet' },
    { reference: 'x:1' },
    { image: idNamed('b'), type: 'ImageCreated' },
    { actor: 'tester' },
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(70, 200)), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(...filters),
      fc.boolean(),
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (sizes, filter, reverse, [low, high], cut) => {
        const log = logOf(sizes);
        const head = Math.max(1, Math.ceil(log.events.length * cut));
        const from = Math.ceil(head * Math.min(low, high)) || 1;
        const to = Math.ceil(head * Math.max(low, high)) || 1;
        const { passes = () => true } = compileFilter(filter);
        const firsts = log.events
          .filter((event) => event.seq >= from && event.seq <= to && passes(event))
          .map(({ transaction }) => transaction.first);
        const expected = [...new Set(firsts)].map((first) => {
          const whole = log.events.filter(({ seq, transaction }) => transaction.first === first && seq <= head);
          return { last: whole.at(-1)?.seq, size: whole.length };
        });
        const got: unknown[] = [];
        for await (const tally of readTransactions(log, { from, to, filter }, { reverse, head, signal })) {
          got.push({ last: tally.last?.seq, size: tally.size });
        }
        t.deepEqual(got, reverse ? expected.toReversed() : expected);
      },
    ),
    { numRuns: 200 },
  );
});

test('readTransactions reads no more than the first transaction for a reader of one', async (t) => {
  const log = logOf(Array.from({ length: 1_000 }, () => 3));
  for await (const tally of readTransactions(log, { from: 1, to: 3_000, filter: {} }, { head: 3_000, signal })) {
    t.is(tally.size, 3);
    break;
  }
  t.true(log.readCount <= 5, String(log.readCount));
});

test('the names of a deleted image are found in its transaction, large or small, in any order', async (t) => {
  for (const others of [0, 400]) {
    const bodies = [
      removed('x:1', 'a'),
      deleted('a'),
      deleted('b'),
      ...Array.from({ length: others }, () => layerGone),
      removed('x:2', 'a'),
      set('x:3', 'c', 'a'),
      deleted('d'),
    ];
    const events = eventsFrom(1, bodies);
    for (const reverse of [false, true]) {
      const names = new FormerNames(new ListLog(events), { reverse, head: events.length, signal });
      const found: string[] = [];
      for (const event of reverse ? events.toReversed() : events) found.push(...(await names.of(event)));
      t.deepEqual(found, ['docker.io/library/x:1', 'docker.io/library/x:2', 'docker.io/library/x:3']);
    }
  }
});

test('phrases flow into the width, and nothing is lost', (t) => {
  const words = fc.array(fc.constantFrom('a', 'shop/app:prod', '→', '(was', '漢字漢字', '👩‍🚀', 'x'.repeat(50)), {
    minLength: 1,
  });
  fc.assert(
    fc.property(fc.array(words, { maxLength: 6 }), fc.integer({ min: 12, max: 60 }), (phrases, width) => {
      const texts = phrases.map((each) => each.join(' '));
      const text = flow(
        texts.map((each) => ({ text: each, gap: 2 })),
        { start: '123', startColumns: 3, indent: '    ', indentColumns: 4, width },
      );
      t.is(text.replace(/\s+/g, ' ').trim(), ['123', ...texts].join(' '));
      for (const line of text.split('\n')) {
        const isOneWord = !/\S\s+\S/.test(line.replace(/^123/, ''));
        t.true(displayWidth(line) <= width || isOneWord, line);
        t.is(line, line.trimEnd());
      }
    }),
    { numRuns: 200 },
  );
});

/** A move with all that must not be cut. */
const MOVE: StoredEvent = {
  seq: 12_345,
  time: Date.parse('2026-01-31T12:00:00Z'),
  transaction: { first: 12_345, count: 1 },
  actor: 'ci@ビルド-サーバー-7',
  reason: 'Freigabe für 漢字の店 nach Prüfung durch zwei Personen, siehe Protokoll',
  requestId: 'REL-2026-01',
  type: 'ReferenceSet',
  reference: 'registry.example.com:5000/shop/a-rather-long-name:prod',
  image: idNamed('a'),
  previous: idNamed('b'),
};

for (const width of [50, 80, 100, 140, undefined]) {
  for (const isColored of [false, true]) {
    test(`nothing of a move is cut at ${width ?? 'any number of'} columns, ${isColored ? 'in' : 'without'} color`, (t) => {
      const drawing: LogDrawing = {
        colors: createColors(isColored),
        width,
        timeZone: 'UTC',
        times: [],
        largestSeq: 99_999,
        show: summaryFormat,
      };
      const tally = new TransactionTally();
      tally.add(MOVE);
      for (const entry of [transactionTable(drawing).entry(tally), eventTable(drawing).entry(MOVE, [])]) {
        const bare = stripVTControlCharacters(entry);
        t.is(bare === entry, !isColored);
        const lines = bare.split('\n');
        const words = bare.replace(/\s+/g, ' ');
        const short = [idNamed('a'), idNamed('b')].map((id) => summaryFormat.id(id));
        t.true(
          words.includes(`registry.example.com:5000/shop/a-rather-long-name:prod → ${short[0]} (was ${short[1]})`),
        );
        for (const part of [MOVE.actor, `“${MOVE.reason}”`, '(REL-2026-01)', '2026-01-31 12:00:00', '12345']) {
          t.true(words.includes(part), part);
        }
        t.true(lines.slice(1).every((line) => line.startsWith('     ')));
        if (width === undefined) t.is(lines.length, 1);
        else for (const line of lines) t.true(displayWidth(line) <= width || !/\S\s+\S/.test(line), line);
      }
    });
  }
}

test('a short move takes one line at 80 columns, a longer one two, and --no-trunc has whole digests', (t) => {
  const draw = (event: StoredEvent, show = summaryFormat): string[] => {
    const tally = new TransactionTally();
    tally.add(event);
    const table = transactionTable({ colors: plain, width: 80, timeZone: 'UTC', times: [], largestSeq: 99, show });
    return table.entry(tally).split('\n');
  };
  const { clock, reason, requestId, ...bare } = { clock: undefined, ...MOVE, seq: 12, actor: 'ana' };
  const move = { ...bare, reference: 'docker.io/shop/app:prod' };
  const [a, b] = [summaryFormat.id(idNamed('a')), summaryFormat.id(idNamed('b'))];
  t.deepEqual(draw({ ...move, reference: 'docker.io/library/x:1' }), [
    ` 12  2026-01-31 12:00:00  tag x:1 → ${a} (was ${b})  by ana`,
  ]);
  t.deepEqual(draw({ ...move, reason: 'release 2.0', requestId: 'REL-2' }), [
    ` 12  2026-01-31 12:00:00  tag shop/app:prod → ${a} (was ${b})`,
    '     by ana  “release 2.0”  (REL-2)',
  ]);
  t.true(
    draw(move, wholeFormat)
      .join(' ')
      .replace(/\s+/g, ' ')
      .includes(`→ ${idNamed('a')} (was ${idNamed('b')})`),
  );
});

test('--oneline is one line, cut to the width of a terminal alone', (t) => {
  const tally = new TransactionTally();
  tally.add(MOVE);
  for (const width of [1, 20, 80, 120]) {
    const line = transactionLine({
      colors: plain,
      width,
      timeZone: 'UTC',
      times: [],
      largestSeq: 12_345,
      show: summaryFormat,
    })(tally);
    t.true(displayWidth(line) <= width && line.endsWith('…'), line);
  }
  const whole = transactionLine({ colors: plain, timeZone: 'UTC', times: [], largestSeq: 12_345, show: summaryFormat })(
    tally,
  );
  t.true(whole.startsWith(`12345 2026-01-31 12:00 UTC ${MOVE.actor} tag registry.example.com`));
  t.true(whole.endsWith(`“${MOVE.reason}” (REL-2026-01)`));
});

test('what is not printable is escaped in both tables', (t) => {
  const tally = new TransactionTally();
  const event: StoredEvent = { ...MOVE, actor: 'a\u001b[2J', reason: 'b\nc\u202e', requestId: 'd\u200b' };
  tally.add(event);
  const drawing: LogDrawing = { colors: plain, timeZone: 'UTC', times: [], largestSeq: 1, show: summaryFormat };
  for (const entry of [
    transactionTable(drawing).entry(tally),
    transactionLine(drawing)(tally),
    eventTable(drawing).entry(event, []),
  ]) {
    t.is(printable(entry), entry);
    t.regex(entry, /a\\u001b\[2J.*b\\u000ac\\u202e.*d\\u200b/);
  }
});

test('only the first word of a sentence has the color of its verb, also where it is wrapped', (t) => {
  const phrase = { text: 'tag shop/app:prod to another', gap: 1, paintFirst: (text: string) => `<${text}>` };
  const lines = flow([phrase], { start: '1', startColumns: 1, indent: '  ', indentColumns: 2, width: 18 }).split('\n');
  t.deepEqual(lines, ['1 <tag>', '  shop/app:prod to', '  another']);
});
