import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startDatabaseServer } from '../../lab/database.ts';
import { startFarm } from '../../lab/farm.ts';
import { submit } from '../e2e/support.ts';

/** A manager that is told to stop while it cannot store what becomes of what it has under way. */

/** The processes that were started as hosted workers of this manager. */
async function hostedWorkers(wampUrl: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = pids.map(async (pid) => {
    const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
    const isOne =
      variables.includes(`SERVER=${wampUrl}`) && variables.some((each) => each.startsWith('REALM='));
    return isOne ? [Number(pid)] : [];
  });
  return (await Promise.all(found)).flat();
}

it('a manager whose database is away stops although a worker is on its way to it', async () => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'qlab-departure-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const database = await startDatabaseServer();
  stack.defer(() => database.stop());
  const executors = join(directory, 'executors.json');
  // Its workers find no engine, and try for half a minute.
  const environment = { DOCKER_HOST: 'unix:///nowhere.sock' };
  await writeFile(executors, JSON.stringify([{ name: 'lame', type: 'process', capacity: 1, environment }]));
  const databaseUrl = (await database.createEmptyDatabase()).url.replace('@/', '@localhost/');
  const farm = stack.use(
    await startFarm({
      directory,
      several: { managers: 1, databaseUrl },
      env: { EXECUTORS_FILE: executors, STOP_WITHIN_SECONDS: '1' },
    }),
  );
  // No manager comes back to end it.
  stack.defer(async () => {
    for (const pid of await hostedWorkers(farm.wampUrl)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  });
  await submit(farm, { repository: 'team/app', build_package: 'http://127.0.0.1:9/app.tar' });
  await expect.poll(() => hostedWorkers(farm.wampUrl)).toHaveLength(1);
  await database.stop();
  farm.manager.kill('SIGTERM');
  expect(await farm.manager.exited).toBe(0);
});
