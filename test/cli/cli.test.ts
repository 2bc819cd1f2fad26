import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../lab/ports.ts';
import { buildListSchema, buildSchema, logRecordSchema } from '../../src/contract/api.ts';
import { portOf } from '../../src/manager/listen.ts';
import type { Claim } from '../../src/store/index.ts';
import { openTestHttp } from '../manager/support/http.ts';
import { record } from '../manager/support/records.ts';
import { complete, DIGEST, writeApp } from './support/builds.ts';
import { cli, MAIN, startCli } from './support/cli.ts';
import { startTestApi, type TestApi } from './support/manager.ts';

let http: TestApi;
let url: string;
let folder: string;
beforeAll(async () => {
  http = await startTestApi();
  ({ url } = http);
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
  await writeApp(folder);
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const submitted = async (): Promise<Claim> => {
  const { code } = await cli(['submit', 'https://files.example/a.tgz', '-r', 'team/app', '-d'], { url });
  expect(code).toBe(0);
  return http.claim();
};

it.each(['help', 'help submit', 'workers help', '--help', 'submit --help'])(
  'shows its help when asked for it: %s',
  async (args) => {
    expect(await cli(args.split(' '), { url })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Usage: quay-build') as string,
      stderr: '',
    });
  },
);

it.each([
  [['list', '--limit', 'all'], 2, /--limit <number>' argument 'all' is invalid. It must be a number/],
  [['log', 'zz'], 2, /not the id of a build/],
  [['show', 'ffffffffff'], 3, /No build begins with ffffffffff/],
  [['show', '00000000-0000-4000-8000-000000000000'], 3, /There is no build with this id/],
  [['list', '--state', 'odd'], 2, /Allowed choices are waiting/],
  [['launch'], 2, /unknown command 'launch'/],
])('%j is refused with exit code %i', async (args, exitCode, words) => {
  const { code, stdout, stderr } = await cli(args, { url });
  expect(stderr).toMatch(words);
  expect(stdout).toBe('');
  expect(code).toBe(exitCode);
});

it('ends at Ctrl-C where it follows nothing, also while the manager is silent', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  for (const args of [['list'], ['log', '00000000-0000-4000-8000-000000000000']]) {
    const asked = once(silent, 'request');
    const run = startCli(args, { url: `http://127.0.0.1:${portOf(silent)}` });
    await asked;
    run.interrupt();
    // By the signal itself: a shell says 130.
    expect((await run.ended).code).toBeNull();
  }
  silent.close();
});

it('says that no manager is there', async () => {
  const answer = await cli(['list'], { url: 'http://127.0.0.1:1' });
  expect(answer.code).toBe(3);
  expect(answer.stderr).toBe(
    'The manager at http://127.0.0.1:1 cannot be reached: nothing listens there.\nCheck that it runs, and QUAY_BUILD_URL.\n',
  );
  expect(await cli(['list'], { url: 'builds.example' })).toMatchObject({ code: 2 });
});

it('takes no password in the URL of the manager, and shows none', async () => {
  const { code, stderr } = await cli(['list'], { url: 'http://joe:hunter2@127.0.0.1:1' });
  expect(code).toBe(2);
  expect(stderr).toContain('QUAY_BUILD_TOKEN');
  expect(stderr).not.toContain('hunter2');
});

it('says that its output cannot be written', async () => {
  const full = promisify(execFile)('sh', ['-c', '"$0" "$1" list > /dev/full', process.execPath, MAIN], {
    env: { PATH: process.env['PATH'], QUAY_BUILD_URL: url },
  });
  await expect(full).rejects.toMatchObject({
    code: 70,
    stderr: expect.stringContaining('cannot be written: ENOSPC') as string,
  });
});
describe('looking at builds', () => {
  it('shows, lists and prints the log so far, for people and for programs', async () => {
    const claim = await submitted();
    const { id } = claim.build;
    await http.store.logs.append(claim.lease, [record(1, 'one\n'), record(2, 'two\n')]);
    expect((await cli(['log', id], { url })).stdout).toBe('one\ntwo\n');
    const lines = (await cli(['log', id, '--json'], { url })).stdout.trimEnd().split('\n');
    expect(lines.map((line) => logRecordSchema.parse(JSON.parse(line)).text)).toEqual(['one\n', 'two\n']);
    await complete(http.store, claim);
    const shown = await cli(['show', id], { url });
    expect(shown.stdout).toMatch(/^state {7}complete$/m);
    expect(shown.stdout).toContain(`latest      ${DIGEST}`);
    expect(buildSchema.parse(JSON.parse((await cli(['show', id, '--json'], { url })).stdout)).id).toBe(id);
    const listed = await cli(['list', '--repository', 'team/app', '--state', 'complete'], { url });
    expect(listed.stdout).toMatch(new RegExp(`^${id.slice(0, 8)}  complete  team/app:latest`, 'm'));
    expect(
      buildListSchema.parse(JSON.parse((await cli(['list', '--json'], { url })).stdout)).builds,
    ).toBeTruthy();
    expect((await cli(['workers'], { url })).stdout).toBe('no workers\n');
    expect((await cli(['log', id, '--follow', '--json'], { url })).code).toBe(0);
  });

  it('goes on following where it was when the manager comes back', async () => {
    const { url: databaseUrl } = await http.database.createDatabase();
    const before = await openTestHttp(http.database, { databaseUrl });
    const port = await freePort();
    const address = await before.app.listen({ host: '127.0.0.1', port });
    const { stdout } = await cli(['submit', 'https://files.example/a.tgz', '-r', 'team/app', '-d'], {
      url: address,
    });
    const claim = await before.claim();
    const run = startCli(['log', stdout.trim(), '--follow'], { url: address });
    await before.store.logs.append(claim.lease, [record(1, 'one\n')]);
    await run.printed(/one/);
    await before[Symbol.asyncDispose]();
    await run.printed(/the manager is away/);

    await using after = await openTestHttp(http.database, { databaseUrl });
    await after.store.logs.append(claim.lease, [record(2, 'two\n')]);
    await after.app.listen({ host: '127.0.0.1', port });
    await run.printed(/the manager is back/);
    await after.store.leases.finish(claim.lease, {
      state: 'complete',
      outputs: { image_id: '', digests: {} },
    });
    const ended = await run.ended;
    expect(ended.code).toBe(0);
    expect(ended.stdout).toBe('one\ntwo\nbuilt registry.example:5000/team/app:latest\n');
  });
});
describe('on a terminal', () => {
  it('shows where the build stands below the log, lets no control sequence of the log through, and tidies up', async () => {
    const run = startCli(['submit', 'app', '-r', 'team/app'], { url, cwd: folder, terminal: true });
    await run.printed(/waiting for a worker: No worker is connected\. {2}place 1 {2}\d+:\d\d/);
    const claim = await http.claim();
    await http.store.leases.enterPhase(claim.lease, 'building');
    await http.store.leases.beginStep(claim.lease, { ordinal: 2, name: 'RUN make', total: 4 });
    await http.store.logs.append(claim.lease, [
      record(1, '\u001b[2Jcleared \u001b[32mgreen\u001b[0m\n'),
      {
        ...record(2, 'Pushing', 'progress'),
        progress: { id: 'a1b2c3', current: 5_000_000, total: 10_000_000 },
      },
    ]);
    await run.printed(/building ▕█+░+▏ step 2\/4 {2}RUN make/);
    await run.printed(/a1b2c3 {2}▕█+░+▏ 5.0 MB \/ 10.0 MB/);
    await complete(http.store, claim);
    const { code, stdout } = await run.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('cleared \u001b[32mgreen\u001b[0m');
    expect(stdout).not.toContain('\u001b[2J');
    expect(stdout).toContain('\u001b[?25h');
    expect(
      stdout.trimEnd().endsWith(`\u001b[?25hbuilt registry.example:5000/team/app:latest@${DIGEST}`),
    ).toBe(true);
  });

  it.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])(
    'prints plain lines with %j, and no control sequence of the log or of an error',
    async (env) => {
      const claim = await submitted();
      await http.store.logs.append(claim.lease, [
        record(1, 'building', 'phase'),
        record(2, '\u001b[2Jcleared \u001b[32mgreen\u001b[0m\u009b1A\n'),
      ]);
      await http.store.leases.finish(claim.lease, {
        state: 'error',
        error: {
          code: 'builderror',
          message: 'Failed.',
          help: 'Read.',
          base_error: '\u001b]0;title\u0007exit 7',
        },
      });
      const { stdout } = await cli(['log', claim.build.id, '--follow'], { url, terminal: true, env });
      expect(stdout.replaceAll('\r', '')).toBe(
        '==> building\ncleared green\nfailed: Failed.\nexit 7\nRead.\n',
      );
    },
  );

  it('lets no control sequence of an error or of a notice through', async () => {
    const error = {
      code: 'builderror',
      message: 'Failed.',
      help: 'Read.',
      base_error: '\u001b[2Jexit \u001b[31m7\u001b[0m\u0007',
    };
    const run = startCli(['submit', 'app', '-r', 'team/app', '--json'], { url, cwd: folder, terminal: true });
    await run.printed(/waiting for a worker/);
    const claim = await http.claim();
    await http.store.logs.append(claim.lease, [record(1, '\u001b[2Jcleared\n')]);
    await http.store.leases.finish(claim.lease, { state: 'error', error });
    expect((await run.ended).stdout).toContain('\ncleared\r\n');
    expect((await run.ended).stdout).not.toContain('\u001b[2J');
    const shown = await cli(['show', claim.build.id], { url, terminal: true });
    expect(shown.stdout).toContain('Failed.\r\nexit \u001b[31m7\u001b[0m\r\nRead.\r\n');
    expect((await cli(['show', claim.build.id], { url })).stdout).toContain(error.base_error);
  });
});
