import { setTimeout as after } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import {
  buildSchema,
  formatLogPosition,
  logRecordSchema,
  LOG_START,
  type Build,
  type LogPosition,
  type LogRecord,
} from '../../contract/api.ts';
import { isFinal } from '../../contract/phases.ts';
import { CliError, exitCodes, RefusedError } from '../failure.ts';
import { EVENT_MAX, RECONNECT_FOR_MS, RECONNECT_WAITS_MS } from '../limits.ts';
import type { ManagerClient } from './client.ts';

/** What a followed build tells. */
export interface FollowView {
  record(record: LogRecord): void;
  build(build: Build): void;
  /** The manager went away; it is asked again until it is back. */
  disconnected(): void;
  connected(): void;
}

interface Progress {
  position: LogPosition;
  build: Build | null;
  /** Whether anything came since the last connection. */
  alive: boolean;
}

/**
 * Follows a build until it has ended, and answers with it. A manager that restarts is found again, and goes on where it was.
 *
 * @throws CliError when the manager refuses, or stays away for too long.
 */
export async function followBuild(
  client: ManagerClient,
  id: string,
  view: FollowView,
  signal: AbortSignal,
): Promise<Build> {
  const progress: Progress = { position: LOG_START, build: null, alive: false };
  let lostAt: number | null = null;
  for (let attempt = 0; ; attempt++) {
    try {
      const ended = await followOnce(client, id, progress, signal, {
        ...view,
        connected: () => {
          if (lostAt !== null) view.connected();
          lostAt = null;
        },
      });
      if (ended) return ended;
    } catch (error) {
      signal.throwIfAborted();
      if (!mayPass(error)) throw error;
      if (lostAt !== null && Date.now() - lostAt > RECONNECT_FOR_MS) throw error;
    }
    if (progress.alive) attempt = 0;
    progress.alive = false;
    if (lostAt === null) {
      lostAt = Date.now();
      view.disconnected();
    }
    const wait = RECONNECT_WAITS_MS[Math.min(attempt, RECONNECT_WAITS_MS.length - 1)];
    await after(wait, undefined, { signal });
  }
}

/** Follows until the connection ends; answers with the build when that was the end of it. */
async function followOnce(
  client: ManagerClient,
  id: string,
  progress: Progress,
  signal: AbortSignal,
  view: FollowView,
): Promise<Build | null> {
  const path = `/api/v1/builds/${id}/log?after=${formatLogPosition(progress.position)}`;
  const body = await client.stream(path, 'text/event-stream', signal);
  view.connected();
  for await (const { event, data } of readEvents(body)) {
    progress.alive = true;
    if (event === 'log') {
      const record = logRecordSchema.parse(JSON.parse(data));
      progress.position = { try: record.try, seq: record.seq };
      view.record(record);
    } else if (event === 'build') {
      progress.build = buildSchema.parse(JSON.parse(data));
      view.build(progress.build);
    } else if (event === 'end') {
      return progress.build && isFinal(progress.build.state) ? progress.build : null;
    }
  }
  return null;
}

async function* readEvents(body: Readable): AsyncGenerator<EventSourceMessage> {
  const events: EventSourceMessage[] = [];
  const parser = createParser({ maxBufferSize: EVENT_MAX, onEvent: (event) => events.push(event) });
  for await (const text of body.setEncoding('utf8') as AsyncIterable<string>) {
    parser.feed(text);
    yield* events.splice(0);
  }
}

/** Whether what failed may work in a moment: the manager is away, or has no room. */
function mayPass(error: unknown): boolean {
  if (error instanceof RefusedError) return error.status >= 500;
  if (error instanceof CliError) return error.exitCode === exitCodes.manager;
  // A connection that was cut in mid-log.
  return error instanceof Error && 'code' in error;
}
