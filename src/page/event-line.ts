import { summaryFormat } from '../log/event-texts.js';
import { factsOf } from '../model/event-table.js';
import type { EventType, StoredEvent } from '../model/events.js';

/** One event for a line of text. */
export interface EventLine {
  readonly seq: number;
  readonly time: number;
  readonly type: EventType;
  readonly actor: string;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
  readonly via: string | undefined;
  readonly address: string | undefined;
  /** What it did, in the words of `imagelog log --events`. */
  readonly summary: string;
}

/** Returns the line of an event. */
export function eventLine(event: StoredEvent): EventLine {
  const { seq, time, type, actor, reason, requestId, via, address } = event;
  const summary = factsOf(event).summary(event, summaryFormat);
  return { seq, time, type, actor, reason, requestId, via, address, summary };
}
