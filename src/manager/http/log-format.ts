import type { LogRecord } from '../../contract/api.ts';
import { formatLogPosition } from '../../contract/api.ts';
import { createLogText } from '../../contract/log-text.ts';
import { viewBuild } from './build-view.ts';
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

/** Server-sent events (WHATWG HTML, "Server-sent events"): `log`, `build`, and `end` when the build is final and all was sent. */
export function asServerSentEvent(event: LogEvent | { type: 'end' }): string {
  switch (event.type) {
    case 'log':
      return `event: log\nid: ${formatLogPosition({ try: event.record.try, seq: event.record.seq })}\ndata: ${JSON.stringify(event.record)}\n\n`;
    case 'build':
      return `event: build\ndata: ${JSON.stringify(viewBuild(event.build))}\n\n`;
    case 'end':
      return 'event: end\ndata: {}\n\n';
  }
}
