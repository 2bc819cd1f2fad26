import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { openTestHttp, type TestHttp } from '../../manager/support/http.ts';

/** A manager's HTTP API that listens on a free port, on a database server of its own. */
export interface TestApi extends TestHttp {
  readonly url: string;
  readonly database: LabDatabaseServer;
}

export async function startTestApi(overrides: Parameters<typeof openTestHttp>[1] = {}): Promise<TestApi> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await startDatabaseServer());
  const http = stack.use(await openTestHttp(database, overrides));
  const url = await http.app.listen({ host: '127.0.0.1', port: 0 });
  const resources = stack.move();
  return { ...http, url, database, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
