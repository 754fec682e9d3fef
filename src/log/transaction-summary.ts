import { type SummaryFormat, type Verb, verbs } from '../model/event-facts.js';
import { eventFacts, eventTypes, factsOf } from '../model/event-table.js';
import type { EventType, StoredEvent } from '../model/events.js';
import { countText } from '../model/texts.js';

/** Most events of a type that a summary names; moves of references first. */
const MOST_NAMED = 8;
/** Most that it names without need: new references, ids. */
const MOST_EXAMPLES = 3;

/** Counts the events of one transaction and keeps a few to name: its size does not matter. */
export class TransactionTally {
  readonly #counts = new Map<EventType, number>();
  /** References by digest that were set: a push sets one beside its tags, which says no more. */
  #digests = 0;
  readonly #named = new Map<EventType, StoredEvent[]>();
  readonly #chosen = new Set<StoredEvent>();
  #size = 0;
  #chosenSize = 0;
  #erasedBytes = 0;
  #last: StoredEvent | undefined;

  /** Adds an event, in any order; a chosen one, which the reader asked for, is named first. */
  add(event: StoredEvent, isChosen = false): void {
    this.#size += 1;
    this.#counts.set(event.type, (this.#counts.get(event.type) ?? 0) + 1);
    if (isByDigest(event)) this.#digests += 1;
    if (event.type === 'ContentErased') this.#erasedBytes += event.size;
    if (this.#last === undefined || event.seq > this.#last.seq) this.#last = event;
    if (isChosen) {
      this.#chosenSize += 1;
      this.#chosen.add(event);
    }
    this.#keep(event);
  }

  #keep(event: StoredEvent): void {
    let kept = this.#named.get(event.type);
    if (kept === undefined) {
      kept = [];
      this.#named.set(event.type, kept);
    }
    let at = kept.length;
    for (let before = kept[at - 1]; before !== undefined && this.#isBefore(event, before); before = kept[at - 1]) at--;
    if (at === MOST_NAMED) this.#chosen.delete(event);
    else kept.splice(at, 0, event);
    const dropped = kept.length > MOST_NAMED ? kept.pop() : undefined;
    if (dropped !== undefined) this.#chosen.delete(dropped);
  }

  #isBefore(event: StoredEvent, other: StoredEvent): boolean {
    const difference = this.#rank(event) - this.#rank(other);
    return difference === 0 ? event.seq < other.seq : difference < 0;
  }

  #rank(event: StoredEvent): number {
    if (this.#chosen.has(event)) return 0;
    if (isMove(event)) return 1;
    return isByDigest(event) ? 3 : 2;
  }

  get size(): number {
    return this.#size;
  }

  /** The event with the highest seq: it bears the transaction's time, actor and reason. */
  get last(): StoredEvent | undefined {
    return this.#last;
  }

  get erasedBytes(): number {
    return this.#erasedBytes;
  }

  countOf(type: EventType): number {
    const count = this.#counts.get(type) ?? 0;
    return type === 'ReferenceSet' && this.#hasTags ? count - this.#digests : count;
  }

  get #hasTags(): boolean {
    return this.#digests < (this.#counts.get('ReferenceSet') ?? 0);
  }

  /** Kept events of a type: chosen ones, moves, then by seq. */
  named(type: EventType): readonly StoredEvent[] {
    const kept = this.#named.get(type) ?? [];
    return this.#digests > 0 && this.#hasTags ? kept.filter((event) => !isByDigest(event)) : kept;
  }

  /** Whether the reader asked for this event and not for its whole transaction. */
  isChosen(event: StoredEvent): boolean {
    return this.#chosenSize < this.#size && this.#chosen.has(event);
  }
}

function isByDigest(event: StoredEvent): boolean {
  return event.type === 'ReferenceSet' && event.reference.includes('@');
}

/** Whether a reference pointed at something else before. */
function isMove(event: StoredEvent): boolean {
  return event.type === 'ReferenceSet' && (event.previous !== undefined || event.previousTarget !== undefined);
}

/** What a transaction did, in the words of the command line. */
interface TransactionSummary {
  readonly verb: Verb;
  /** The sentence in phrases that should not be split: counts, then each move. Not escaped. */
  readonly phrases: readonly string[];
}

/**
 * Summarizes a transaction of at least one event: `load 2 images, 4 layers, 1 tag:
 * shop/app:prod → cb4c372bec4c (was bb0c8ffbd8b1)`. From the table of events alone; files of a load
 * are not in the log.
 */
export function summarizeTransaction(tally: TransactionTally, show: SummaryFormat): TransactionSummary {
  const types = eventTypes.filter((type) => tally.countOf(type) > 0);
  const present = verbs.filter((verb) => types.some((type) => verbOf(type) === verb));
  const [verb = 'set'] = present;
  const merged = MERGED[verb] ?? [];
  const sections = present.flatMap((each) => {
    const own = types.filter((type) => verbOf(type) === each);
    if (merged.includes(each)) return [];
    if (each === 'rm') return removalSections(tally, own, show);
    if (each === 'load') return loadSections(tally, types, show);
    return [sectionOf(tally, each, own, show)];
  });
  return { verb, phrases: joined(sections) };
}

/** What another verb tells as its own: tags and parents of a load, the names of what was removed. */
const MERGED: Partial<Record<Verb, readonly Verb[]>> = { load: ['tag', 'set'], rm: ['untag'] };

function verbOf(type: EventType): Verb {
  return eventFacts[type].does[0];
}

/** Phrases, and what separates them from those before. */
interface Section {
  readonly separator: string;
  readonly phrases: readonly string[];
}

function joined(sections: readonly Section[]): string[] {
  const phrases: string[] = [];
  for (const { separator, phrases: own } of sections) {
    const before = phrases.pop();
    if (before !== undefined) phrases.push(`${before}${separator}`);
    for (const phrase of own) phrases.push(phrase);
  }
  return phrases;
}

function sectionOf(tally: TransactionTally, verb: Verb, types: readonly EventType[], show: SummaryFormat): Section {
  const [type, second] = types;
  if (type === undefined || second !== undefined) return countedSection(tally, verb, types, show);
  return { separator: ';', phrases: listPhrases(tally, type, show, headOf(tally, verb, type, show)) };
}

/** `tag` alone, `set parent`, `erase blob`, or how many if there are more than are named. */
function headOf(tally: TransactionTally, verb: Verb, type: EventType, show: SummaryFormat): string {
  const [, noun] = eventFacts[type].does;
  const count = tally.countOf(type);
  if (verb === 'erase' && count > 1) return `${verb} ${countText(count, noun)}, ${show.bytes(tally.erasedBytes)}:`;
  if (count > shownOf(tally, type).length) return `${verb} ${countText(count, noun)}:`;
  return verb === 'tag' || verb === 'untag' ? verb : `${verb} ${noun}`;
}

function loadSections(tally: TransactionTally, types: readonly EventType[], show: SummaryFormat): Section[] {
  const hasImages = tally.countOf('ImageCreated') > 0;
  const counted = types.filter((type) => {
    // Most images have one manifest each: its count says nothing.
    if (type === 'ManifestAdded' && hasImages) return false;
    return verbOf(type) === 'load' || verbOf(type) === 'set';
  });
  // What was loaded first, then what was set.
  counted.sort((a, b) => verbs.indexOf(verbOf(a)) - verbs.indexOf(verbOf(b)));
  const counts = countedSection(tally, 'load', counted, show);
  const tags = tally.countOf('ReferenceSet');
  if (tags === 0) return [counts];
  return [counts, { separator: ',', phrases: listPhrases(tally, 'ReferenceSet', show, `${countText(tags, 'tag')}:`) }];
}

function removalSections(tally: TransactionTally, types: readonly EventType[], show: SummaryFormat): Section[] {
  const layers = types.filter((type) => type === 'LayerRemoved');
  const others = types.filter((type) => type !== 'LayerRemoved');
  if (others.length === 0) return [countedSection(tally, 'rm', layers, show)];
  const names = tally.countOf('ReferenceRemoved') === 0 ? [] : [namesOfRemoved(tally, show)];
  const counts = layers.map((type) => ({ separator: ',', phrases: [countText(tally.countOf(type), 'layer')] }));
  return [countedSection(tally, 'rm', others, show), ...names, ...counts];
}

function countedSection(
  tally: TransactionTally,
  verb: Verb,
  types: readonly EventType[],
  show: SummaryFormat,
): Section {
  const counts = types.map((type, at) => {
    const [, noun] = eventFacts[type].does;
    const examples = examplesOf(tally, type).map((event) => factsOf(event).summary(event, show));
    const count = tally.countOf(type);
    const list = examples.length === count ? examples.join(', ') : `(${examples.join(', ')})`;
    return `${at === 0 ? `${verb} ` : ''}${countText(count, noun)}${examples.length === 0 ? '' : ` ${list}`}`;
  });
  return { separator: ';', phrases: counts.map(withComma) };
}

/** `(names: shop/app:1, shop/app:2)` after the images that had them. */
function namesOfRemoved(tally: TransactionTally, show: SummaryFormat): Section {
  const shown = tally.named('ReferenceRemoved');
  const names = shown.flatMap((event) => factsOf(event).references(event)).map(show.reference);
  const hidden = tally.countOf('ReferenceRemoved') - shown.length;
  const all = [...names, ...(hidden === 0 ? [] : [`and ${hidden} more`])].map(withComma);
  const last = all.length - 1;
  const phrases = all.map((name, at) => `${at === 0 ? '(names: ' : ''}${name}${at === last ? ')' : ''}`);
  return { separator: '', phrases };
}

function listPhrases(tally: TransactionTally, type: EventType, show: SummaryFormat, head: string): string[] {
  const shown = shownOf(tally, type);
  const hidden = tally.countOf(type) - shown.length;
  const items = shown.map((event) => factsOf(event).summary(event, show));
  const [first = '', ...rest] = [...items, ...(hidden === 0 ? [] : [`and ${hidden} more`])].map(withComma);
  return head.endsWith(':') ? [head, first, ...rest] : [`${head} ${first}`, ...rest];
}

/** All kept moves and chosen events, else a few. */
function shownOf(tally: TransactionTally, type: EventType): readonly StoredEvent[] {
  const named = tally.named(type);
  const needed = named.filter((event) => isMove(event) || tally.isChosen(event)).length;
  return named.slice(0, Math.max(needed, MOST_EXAMPLES));
}

/** What a load or removal is about: what was asked for, or a few images that get no name. */
function examplesOf(tally: TransactionTally, type: EventType): readonly StoredEvent[] {
  const named = tally.named(type);
  const chosen = named.filter((event) => tally.isChosen(event));
  if (chosen.length > 0) return chosen.slice(0, MOST_EXAMPLES);
  const hasId = type === 'ImageDeleted' || type === 'ArtifactRemoved';
  const isUnnamed = tally.countOf('ReferenceSet') === 0 && (type === 'ImageCreated' || type === 'ArtifactAdded');
  const isAlone = tally.countOf(type) === tally.size;
  const isShort = tally.countOf(type) <= MOST_EXAMPLES;
  return (hasId || isUnnamed || isAlone) && isShort ? named : [];
}

function withComma(text: string, at: number, all: readonly string[]): string {
  return at === all.length - 1 ? text : `${text},`;
}
