import { createInterface } from 'node:readline';
import { logRecordSchema, type LogRecord } from '../../contract/api.ts';
import type { ManagerClient } from './client.ts';

/** The records of a build's log so far. */
export async function* readLog(client: ManagerClient, id: string): AsyncGenerator<LogRecord> {
  const body = await client.stream(`/api/v1/builds/${id}/log`, 'application/x-ndjson');
  for await (const line of createInterface({ input: body, crlfDelay: Infinity })) {
    if (line !== '') yield logRecordSchema.parse(JSON.parse(line));
  }
}
