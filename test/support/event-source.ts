import type { ReadableStream, ReadableStreamDefaultReader, ReadableWritablePair } from 'node:stream/web';
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream';

/** Reads messages as a parser that we did not write gives them. */
export function messagesOf(
  source: ReadableStream<Uint8Array> | Response,
): ReadableStreamDefaultReader<EventSourceMessage> {
  const body = source instanceof Response ? source.body : source;
  const decoder = new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>;
  return (body as ReadableStream<Uint8Array>)
    .pipeThrough(decoder)
    .pipeThrough(new EventSourceParserStream({ onError: 'terminate' }))
    .getReader();
}

/** Takes messages until `count` of them, or the end. */
export async function take(
  reader: ReadableStreamDefaultReader<EventSourceMessage>,
  count: number,
): Promise<EventSourceMessage[]> {
  const messages: EventSourceMessage[] = [];
  while (messages.length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    messages.push(value);
  }
  return messages;
}
