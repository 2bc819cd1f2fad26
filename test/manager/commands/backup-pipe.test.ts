import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startProcess, type LabProcess } from '../../../lab/process.ts';
import { show, submit } from '../../e2e/support.ts';

/** `quay-build-manager backup -` and `restore -`: through a pipe, as over ssh to another machine. */

const MANAGER = resolve(import.meta.dirname, '../../../bin/quay-build-manager');

let directory: string;
let managers: LabProcess[];
let urls: string[];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quay-manager-pipe-'));
  managers = ['one', 'other'].map((name) => startManager('old', { MANAGER_ID: name }));
  urls = await Promise.all(managers.map(urlOf));
});
afterAll(async () => {
  await Promise.all(managers.map((manager) => manager.stop()));
  await rm(directory, { recursive: true, force: true });
});

function environment(data: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    LISTEN_WAMP: '127.0.0.1:0',
    LISTEN_HTTP: '127.0.0.1:0',
    LOG_FORMAT: 'json',
    REGISTRY: 'registry.example:5000',
    DATA_DIR: join(directory, data),
  };
}

function startManager(data: string, env: NodeJS.ProcessEnv = {}): LabProcess {
  return startProcess(MANAGER, [], { env: { ...environment(data), ...env } });
}

async function urlOf(manager: LabProcess): Promise<string> {
  const [, port = ''] = await manager.printed(/"http":\{[^}]*"port":(\d+)[^}]*\}.*manager is ready/);
  return `http://127.0.0.1:${port}`;
}

function start(data: string, ...args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(MANAGER, args, { env: environment(data) });
}

async function endOf(child: ChildProcessWithoutNullStreams): Promise<{ code: number; said: string }> {
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close') as Promise<[number]>]);
  return { code, said };
}

const submitPackage = async (url: string): Promise<string> =>
  (await submit({ url }, { repository: 'team/app' }, new TextEncoder().encode('FROM scratch\n'))).id;

it('carries everything from two managers that take builds meanwhile into a new data folder', async () => {
  const before = await Promise.all(urls.map(submitPackage));
  const over = new AbortController();
  const submitting = urls.map(async (url) => {
    for (let more = 30; more > 0 && !over.signal.aborted; more -= 1) await submitPackage(url);
  });
  const backup = start('old', 'backup', '-');
  const restore = start('new', 'restore', '-');
  const ends = [backup, restore].map(endOf);
  restore.stdout.resume();
  await pipeline(backup.stdout, restore.stdin);
  expect(await Promise.all(ends)).toEqual([
    { code: 0, said: expect.stringMatching(/^backed up \d+ tables, and \d+ packages and logs/) as string },
    { code: 0, said: expect.stringMatching(/^restored \d+ tables, and \d+ packages and logs/) as string },
  ]);
  over.abort();
  await Promise.all(submitting);

  await copyFile(join(directory, 'old/secret.key'), join(directory, 'new/secret.key'));
  await using restored = startManager('new');
  const url = await urlOf(restored);
  for (const id of before) {
    expect(await show({ url }, id)).toMatchObject({
      state: 'waiting',
      source: { type: 'package', size: 13 },
    });
  }
});

it('a backup that is not read or written to its end has failed', async () => {
  const backup = start('old', 'backup', '-');
  backup.stdout.destroy();
  expect(await endOf(backup)).toEqual({
    code: 69,
    said: 'quay-build-manager backup failed: who was to read it was gone before its end\n',
  });
  const full = spawn('sh', ['-c', 'exec "$0" backup - > /dev/full', MANAGER], { env: environment('old') });
  expect(await endOf(full)).toEqual({
    code: 69,
    said: expect.stringMatching(/^quay-build-manager backup failed: ENOSPC.*\n$/) as string,
  });
});

it('a pipe that brings only a part is refused, and leaves an empty place', async () => {
  await submitPackage(urls[0] ?? '');
  const backup = start('old', 'backup', '-');
  const [bytes] = await Promise.all([buffer(backup.stdout), endOf(backup)]);
  const restore = start('part', 'restore', '-');
  restore.stdin.end(bytes.subarray(0, bytes.length / 2));
  restore.stdout.resume();
  expect(await endOf(restore)).toEqual({
    code: 69,
    said: expect.stringContaining('it is broken or not whole') as string,
  });
  expect(await readdir(join(directory, 'part/blobs/blobs'))).toEqual([]);
});
