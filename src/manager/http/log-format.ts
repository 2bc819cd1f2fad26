import type { LogRecord } from '../../contract/api.ts';
import { formatLogPosition } from '../../contract/api.ts';
import { createLogText } from '../../contract/log-text.ts';
import type { LogEvent } from './ports.ts';

/** The three forms of a build's log. */
export const logMediaTypes = ['text/plain', 'application/x-ndjson', 'text/event-stream'] as const;

/** The log as text, as people read it. */
export async function* asText(pages: AsyncIterable<readonly LogRecord[]>): AsyncGenerator<string> {
  const text = createLogText();
  for await (const records of pages) yield records.map((record) => text.add(record)).join('');
  yield text.end();
}

/** A record a line. */
export async function* asLines(pages: AsyncIterable<readonly LogRecord[]>): AsyncGenerator<string> {
  for await (const records of pages) yield records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** How much of a page of records is sent in one piece, in characters, and at least one record: a piece a record costs more than its text. */
const PIECE = 65_536;

/**
 * Server-sent events (WHATWG HTML, "Server-sent events"): `log`, `build`, and `end` when the build is final and all was sent. In
 * pieces, made when they are asked for.
 */
export function* asServerSentEvents(event: LogEvent | { type: 'end' }): Generator<string> {
  switch (event.type) {
    case 'log': {
      let piece = '';
      for (const record of event.records) {
        piece += `event: log\nid: ${formatLogPosition({ try: record.try, seq: record.seq })}\ndata: ${JSON.stringify(record)}\n\n`;
        if (piece.length < PIECE) continue;
        yield piece;
        piece = '';
      }
      if (piece !== '') yield piece;
      return;
    }
    case 'build':
      yield `event: build\ndata: ${JSON.stringify(event.build)}\n\n`;
      return;
    case 'end':
      yield 'event: end\ndata: {}\n\n';
  }
}
