import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

let http: TestApi;
let url: string;
beforeAll(async () => {
  http = await startTestApi();
  ({ url } = http);
});
afterAll(() => http[Symbol.asyncDispose]());

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
