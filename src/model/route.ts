import type { Envelope } from './events.js';

/** From where and how a write came: the part of an envelope that few events have. */
export type Route = Pick<Envelope, 'via' | 'address' | 'agent' | 'traceparent'>;

/**
 * Returns the route alone; undefined for none. It has all four fields, so that all events with a
 * route have one shape, written or read.
 */
export function routeOf({ via, address, agent, traceparent }: Route): Route | undefined {
  const isAbsent = via === undefined && address === undefined && agent === undefined && traceparent === undefined;
  return isAbsent ? undefined : { via, address, agent, traceparent };
}
