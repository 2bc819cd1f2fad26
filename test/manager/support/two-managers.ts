import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDatabaseServer } from '../../../lab/database.ts';
import { startFarm, type LabFarm } from '../../../lab/farm.ts';
import { run } from '../../../lab/process.ts';

/** Two managers that share one database and one key, each with a registry of its own. */
export interface TwoManagers extends AsyncDisposable {
  readonly first: LabFarm;
  readonly second: LabFarm;
}

/** Starts them with these settings beside those that they share. Ends all when it fails. */
export async function startTwoManagers(env: Readonly<Record<string, string>> = {}): Promise<TwoManagers> {
  await using starting = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'qlab-two-'));
  starting.defer(() => rm(directory, { recursive: true, force: true }));
  const database = await startDatabaseServer();
  starting.defer(() => database.stop());
  // The name of a host, which the socket's folder stands for: a setting must be a whole URL.
  const url = (await database.createDatabase()).url;
  const key = join(directory, 'secret.key');
  await run('/bin/sh', ['-c', `umask 077; head -c 32 /dev/urandom | base64 >${key}`]);
  const start = async (name: string): Promise<LabFarm> => {
    const folder = join(directory, name);
    await mkdir(folder);
    const shared = { DATABASE_URL: url, SECRET_KEY_FILE: key, MANAGER_ID: name };
    const farm = await startFarm({ directory: folder, env: { ...env, ...shared } });
    starting.defer(() => farm.stop());
    return farm;
  };
  const [first, second] = [await start('first'), await start('second')];
  const running = starting.move();
  return { first, second, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
