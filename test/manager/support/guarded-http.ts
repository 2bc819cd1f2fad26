import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDatabaseServer } from '../../../lab/database.ts';
import { loadApiTokens, type ApiTokenEntry } from '../../../src/manager/http/api-tokens.ts';
import { openTestHttp, type TestHttp } from './http.ts';

/** The manager's HTTP listener for those who have one of these tokens alone, with a database server of its own. Ends all when it fails. */
export async function openGuardedHttp(entries: readonly ApiTokenEntry[]): Promise<TestHttp> {
  await using starting = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'guarded-'));
  starting.defer(() => rm(directory, { recursive: true }));
  const path = join(directory, 'tokens.json');
  await writeFile(path, JSON.stringify(entries));
  const tokens = await loadApiTokens(path, (error) => {
    throw error;
  });
  const database = await startDatabaseServer();
  starting.defer(() => database.stop());
  const http = starting.use(await openTestHttp(database, { tokens }));
  const running = starting.move();
  return { ...http, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
