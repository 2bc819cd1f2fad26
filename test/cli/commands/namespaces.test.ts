import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../../lab/database.ts';
import { openTestHttp, type TestHttp } from '../../manager/support/http.ts';
import { cli } from '../support/cli.ts';

let database: LabDatabaseServer;
let http: TestHttp;
let url: string;
beforeAll(async () => {
  database = await startDatabaseServer();
  http = await openTestHttp(database);
  url = await http.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
});

it('sets what is given, leaves the rest as it was, and takes it back', async () => {
  const set = async (...options: string[]): Promise<unknown> => {
    const { stdout } = await cli(['namespaces', 'set', 'team', ...options, '--json'], { url });
    return (JSON.parse(stdout) as { settings: unknown }).settings;
  };
  const limits = { max_running: 0, max_waiting: 1_000_000 };
  expect(await set('--weight', '2.5', '--max-running', '0', '--max-waiting', '1000000')).toEqual({
    weight: 2.5,
    ...limits,
  });
  expect(await set('--weight', 'default')).toEqual({ weight: null, ...limits });
});

it('refuses a number that cannot be, with the rule, before it asks a manager', async () => {
  const nowhere = { url: 'http://127.0.0.1:9' };
  const refused: readonly (readonly [option: string, value: string, rule: string])[] = [
    ['--max-running', '-1', 'a whole number from 0 to 1000000'],
    ['--max-waiting', '1.5', 'a whole number from 0 to 1000000'],
    ['--weight', '0', 'a number from 0.01 to 100'],
    ['--weight', 'heavy', 'a number from 0.01 to 100'],
  ];
  await Promise.all(
    refused.map(async ([option, value, rule]) => {
      expect(await cli(['namespaces', 'set', 'team', option, value], nowhere)).toMatchObject({
        code: 2,
        stderr: `${option} ${value} is not ${rule}.\nGive one, or default.\n`,
      });
    }),
  );
});
