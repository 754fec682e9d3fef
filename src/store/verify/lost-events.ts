/** Seqs of events, both ends inclusive. */
export interface SeqRange {
  readonly first: number;
  readonly last: number;
}

/** Ranges that a message names. */
const NAMED_RANGES = 20;

/** Returns `event 5`, or `events 5 to 7, 9`. There must be a range. */
export function eventsText(ranges: readonly SeqRange[]): string {
  const texts = ranges
    .slice(0, NAMED_RANGES)
    .map(({ first, last }) => (first === last ? `${first}` : `${first} to ${last}`));
  if (ranges.length > NAMED_RANGES) texts.push(`and ${ranges.length - NAMED_RANGES} more ranges`);
  const isOne = ranges.length === 1 && ranges[0]?.first === ranges[0]?.last;
  return `${isOne ? 'event' : 'events'} ${texts.join(', ')}`;
}
