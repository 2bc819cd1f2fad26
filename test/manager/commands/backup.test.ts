import { copyFile, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startProcess, type LabProcess } from '../../../lab/process.ts';
import { buildSchema } from '../../../src/contract/api.ts';

/** `quay-build-manager backup` and `restore`, as an operator uses them. */

const MAIN = fileURLToPath(new URL('../../../src/manager/main.ts', import.meta.url));

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-manager-backup-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function start(data: string, ...args: readonly string[]): LabProcess {
  return startProcess(process.execPath, [MAIN, ...args], {
    env: {
      PATH: process.env['PATH'],
      LISTEN_WAMP: '127.0.0.1:0',
      LISTEN_HTTP: '127.0.0.1:0',
      LOG_FORMAT: 'json',
      REGISTRY: 'registry.example:5000',
      DATA_DIR: join(directory, data),
    },
  });
}

async function startManager(data: string): Promise<{ process: LabProcess; url: string }> {
  const process = start(data);
  const [, port = ''] = await process.printed(/"http":\{[^}]*"port":(\d+)[^}]*\}.*manager is ready/);
  return { process, url: `http://127.0.0.1:${port}` };
}

async function run(
  data: string,
  ...args: readonly string[]
): Promise<{ code: number | null; output: string }> {
  await using child = start(data, ...args);
  const code = await child.exited;
  return { code, output: child.output() };
}

it('carries a build and its package from a running manager into a new data folder', async () => {
  const old = await startManager('old');
  await using _old = old.process;
  const form = new FormData();
  form.append('request', JSON.stringify({ repository: 'team/app' }));
  form.append('package', new Blob(['FROM scratch\n']), 'package');
  const submitted = await fetch(`${old.url}/api/v1/builds`, { method: 'POST', body: form });
  const { id } = buildSchema.parse(await submitted.json());

  const file = join(directory, 'backup');
  expect(await run('old', 'backup', file)).toEqual({
    code: 0,
    output: expect.stringMatching(/^backed up \d+ tables, and 1 packages and logs\n$/) as string,
  });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await run('old', 'backup', file)).toEqual({
    code: 69,
    output: expect.stringContaining('exists already') as string,
  });

  expect(await run('new', 'restore', file)).toEqual({
    code: 0,
    output: expect.stringMatching(
      /^restored \d+ tables, and 1 packages and logs, as they were at /,
    ) as string,
  });
  const keyless = await run('new');
  expect(keyless).toMatchObject({ code: 69 });
  expect(keyless.output).toContain('the key file is not the one of this database');
  await copyFile(join(directory, 'old', 'secret.key'), join(directory, 'new', 'secret.key'));
  const restored = await startManager('new');
  await using _restored = restored.process;
  const shown = buildSchema.parse(await (await fetch(`${restored.url}/api/v1/builds/${id}`)).json());
  expect(shown).toMatchObject({ id, state: 'waiting', source: { type: 'package', size: 13 } });
  expect(await run('new', 'restore', file)).toEqual({
    code: 69,
    output: expect.stringContaining('the database is not empty') as string,
  });
});

it('says what is wrong with a place that has nothing, and with a file that is no backup', async () => {
  expect(await run('nowhere', 'backup', join(directory, 'nothing'))).toEqual({
    code: 69,
    output: expect.stringContaining('there is no database in') as string,
  });
  expect(await run('old', 'backup', join(directory, 'no-folder', 'backup'))).toEqual({
    code: 69,
    output: `quay-build-manager backup failed: the folder ${directory}/no-folder is not there: make it, or name a file elsewhere\n`,
  });
  const other = join(directory, 'other');
  await writeFile(other, 'hello');
  expect(await run('empty', 'restore', other)).toEqual({
    code: 69,
    output: expect.stringContaining('quay-build-manager restore failed: it is broken or not whole') as string,
  });
  const missing = join(directory, 'missing');
  expect(await run('untouched', 'restore', missing)).toEqual({
    code: 69,
    output: `quay-build-manager restore failed: ${missing} is not there: name a file that backup wrote, or - for stdin\n`,
  });
  expect(await run('untouched', 'restore', directory)).toEqual({
    code: 69,
    output: `quay-build-manager restore failed: ${directory} is a folder: name the file that backup wrote, or - for stdin\n`,
  });
  expect(await readdir(directory)).not.toContain('untouched');
  expect((await readdir(directory)).filter((name) => name.includes('.part'))).toEqual([]);
});
