import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDatabaseServer, type LabDatabaseServer } from '../../lab/database.ts';
import { freePort } from '../../lab/ports.ts';
import { buildListSchema, buildSchema, logRecordSchema, type LogRecord } from '../../src/contract/api.ts';
import { portOf } from '../../src/manager/listen.ts';
import type { Claim } from '../../src/store/index.ts';
import { openTestHttp, type TestHttp } from '../manager/support/http.ts';
import { cli, MAIN, startCli } from './support/cli.ts';

let database: LabDatabaseServer;
let http: TestHttp;
let url: string;
let folder: string;
beforeAll(async () => {
  database = await startDatabaseServer();
  http = await openTestHttp(database, { limits: { packageMax: 1_000_000 } });
  url = await http.app.listen({ host: '127.0.0.1', port: 0 });
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
  await mkdir(join(folder, 'app/node_modules/x'), { recursive: true });
  await writeFile(join(folder, 'app/Dockerfile'), 'FROM scratch\nCOPY . /\n');
  await writeFile(join(folder, 'app/.dockerignore'), 'node_modules\n*.log\nDockerfile\n');
  await writeFile(join(folder, 'app/main.c'), 'int main(void) { return 0; }\n');
  await writeFile(join(folder, 'app/debug.log'), 'noise\n');
  await writeFile(join(folder, 'app/node_modules/x/index.js'), '');
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await database.stop();
  await rm(folder, { recursive: true });
});

const record = (seq: number, text: string, stream: LogRecord['stream'] = 'output'): LogRecord => ({
  try: 1,
  seq,
  time: '2026-01-02T03:04:05.678Z',
  phase: 'building',
  step: 1,
  stream,
  text,
});
const DIGEST = `sha256:${'a'.repeat(64)}`;
const complete = ({ lease }: Claim): Promise<boolean> =>
  http.store.leases.finish(lease, {
    state: 'complete',
    outputs: { image_id: 'sha256:1', digests: { latest: DIGEST } },
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

describe('submit', () => {
  it('sends a folder without what .dockerignore names, follows its log and ends with the digest', async () => {
    const run = startCli(['submit', 'app', '--repository', 'team/app'], { url, cwd: folder });
    await run.printed(/waiting for a worker/);
    const claim = await http.claim();
    await http.store.logs.append(claim.lease, [
      record(1, 'building', 'phase'),
      record(2, 'Step 1/2 : FROM scratch\n'),
      record(3, '\u001b[31mred\u001b[0m\n'),
    ]);
    await run.printed(/red/);
    await complete(claim);
    const { code, stdout, stderr } = await run.ended;
    expect(stdout).toBe(
      '==> building\nStep 1/2 : FROM scratch\n\u001b[31mred\u001b[0m\n' +
        `built registry.example:5000/team/app:latest@${DIGEST}\n`,
    );
    expect(stderr).toBe(
      `packing the folder\nsending the package\nsubmitted ${claim.build.id}\nwaiting for a worker: No worker is connected. (place 1)\n`,
    );
    expect(code).toBe(0);

    const row = await http.store.packages.findOfBuild(claim.build.id);
    expect(row?.mediaType).toBe('application/gzip');
    expect(await namesInPackage(row?.id ?? '')).toEqual(['.dockerignore', 'Dockerfile', 'main.c']);
  });

  it('prints nothing but the build as JSON when it is asked to', async () => {
    const run = startCli(['submit', 'app/Dockerfile', '-r', 'team/app', '-t', 'a', '-t', 'b', '--json'], {
      url,
      cwd: folder,
    });
    await run.printed(/waiting for a worker/);
    const claim = await http.claim();
    await http.store.logs.append(claim.lease, [record(1, 'hello\n')]);
    await http.store.leases.finish(claim.lease, {
      state: 'error',
      error: { code: 'builderror', message: 'A step failed.', help: 'Read the log.', base_error: 'exit 7' },
    });
    const { code, stdout, stderr } = await run.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('hello\n');
    const build = buildSchema.parse(JSON.parse(stdout));
    expect(build).toMatchObject({ state: 'error', tag_names: ['a', 'b'], error: { code: 'builderror' } });
    const row = await http.store.packages.findOfBuild(build.id);
    expect(row?.mediaType).toBe('text/plain');
  });

  it('tells why a build failed, what the failing part said and what to do', async () => {
    const run = startCli(['submit', 'app', '-r', 'team/app'], { url, cwd: folder });
    await run.printed(/waiting for a worker/);
    const claim = await http.claim();
    await http.store.leases.finish(claim.lease, {
      state: 'error',
      error: { code: 'builderror', message: 'A step failed.', help: 'Read the log.', base_error: 'exit 7' },
    });
    const { code, stdout } = await run.ended;
    expect(stdout).toBe('failed: A step failed.\nexit 7\nRead the log.\n');
    expect(code).toBe(1);
  });

  it('prints the id alone with --detach, and the exit code says cancelled when it is followed later', async () => {
    const submit = ['submit', 'app', '-r', 'team/app', '--detach'];
    const { code, stdout, stderr } = await cli(submit, { url, cwd: folder });
    expect(code).toBe(0);
    expect(stderr).toContain('waiting for a worker: No worker is connected.\n');
    const id = stdout.trim();
    expect((await cli(['show', id], { url })).stdout).toMatch(
      /^state {7}waiting\nwaiting {5}No worker is connected\.\nplace {7}\d+/m,
    );
    expect(await cli(['cancel', id], { url })).toMatchObject({ code: 0, stdout: `cancelled ${id}\n` });
    expect(await cli(['log', id.slice(0, 13), '--follow'], { url })).toMatchObject({
      code: 4,
      stdout: `cancelled ${id}\n`,
    });
  });

  it('says so where a build with its dedupe key has not ended, and follows that one', async () => {
    const submit = ['submit', 'app', '-r', 'team/app', '--dedupe-key', 'push 1'];
    const first = await cli([...submit, '--detach'], { url, cwd: folder });
    const id = first.stdout.trim();
    expect(first.stderr).toContain(`submitted ${id}\n`);
    const there = `the build ${id} has this dedupe key and has not ended: no other was made\n`;
    const again = await cli([...submit, '--detach'], { url, cwd: folder });
    expect(again).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(again.stderr).toContain(there);
    expect(again.stderr).not.toContain('submitted');
    const following = startCli(submit, { url, cwd: folder });
    const live = startCli(submit, { url, cwd: folder, terminal: true });
    for (const run of [following, live]) await run.printed(/waiting for a worker: No/);
    await cli(['cancel', id], { url });
    expect(await following.ended).toMatchObject({ code: 4, stdout: `cancelled ${id}\n` });
    expect((await following.ended).stderr).toContain(there);
    expect((await live.ended).stdout.replaceAll('\r', '')).toContain(there);
  });

  it('leaves the build alone at Ctrl-C and says how to follow and cancel it', async () => {
    const run = startCli(['submit', 'app', '-r', 'team/app'], { url, cwd: folder });
    await run.printed(/waiting for a worker/);
    run.interrupt();
    const { code, stderr } = await run.ended;
    expect(code).toBe(130);
    const [, id = ''] = /quay-build cancel (\S+)/.exec(stderr) ?? [];
    expect((await http.store.builds.get(id))?.state).toBe('waiting');
    await http.store.builds.cancel(id, 'test');
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

  it.each(['SIGINT', 'SIGTERM'] as const)('leaves nothing behind at %s while it sends', async (signal) => {
    const hanging = createServer((request) => request.resume()).listen(0, '127.0.0.1');
    await once(hanging, 'listening');
    const temporary = await mkdtemp(join(folder, 'tmp-'));
    const run = startCli(['submit', 'app', '-r', 'team/app'], {
      url: `http://127.0.0.1:${portOf(hanging)}`,
      cwd: folder,
      env: { TMPDIR: temporary },
    });
    await once(hanging, 'request');
    run.interrupt(signal);
    const { code, stderr } = await run.ended;
    expect(stderr).toContain('Interrupted before the manager had accepted the build.');
    expect(code).toBe(130);
    expect(await readdir(temporary)).toEqual([]);
    hanging.close();
  });

  it.each([
    [['submit', 'app'], 2, /required option '-r, --repository/],
    [['submit', 'nowhere', '-r', 'team/app'], 2, /There is no file or folder nowhere/],
    [['submit', '/dev/null', '-r', 'team/app'], 2, /neither a file nor a folder/],
    [['submit', 'app', '-r', 'Team/App'], 2, /repository: must be namespace\/name, in lower case/],
    [['list', '--limit', 'all'], 2, /--limit <number>' argument 'all' is invalid. It must be a number/],
    [['submit', 'app', '-r', 'team/app', '-t', 'no spaces'], 2, /tag_names\.0: must be a tag/],
    [
      ['submit', 'git://git.example/app.git', '-r', 'team/app'],
      3,
      /does not fetch from git URLs of this form/,
    ],
    [['submit', 'git@git.example:team/app.git', '-r', 'team/app'], 2, /Git over ssh needs a private key/],
    [['submit', 'app', '-r', 'team/app', '--follow', '--detach'], 2, /cannot be used with/],
    [
      ['submit', 'app', '-r', 'team/app', '--build-arg', '=x'],
      2,
      /--build-arg =x has no name.*--build-arg NAME=/s,
    ],
    [
      ['submit', 'app', '-r', 'team/app', '--build-arg', 'A-B=x'],
      2,
      /build_args\.A-B: must be the name of an ARG/,
    ],
    [['submit', 'app', '-r', 'team/app', '--target', 'a b'], 2, /target: must be the name of a stage/],
    [['log', 'zz'], 2, /not the id of a build/],
    [['show', 'ffffffffff'], 3, /No build begins with ffffffffff/],
    [['show', '00000000-0000-4000-8000-000000000000'], 3, /There is no build with this id/],
    [['list', '--state', 'odd'], 2, /Allowed choices are waiting/],
    [['launch'], 2, /unknown command 'launch'/],
  ])('%j is refused with exit code %i', async (args, exitCode, words) => {
    const { code, stdout, stderr } = await cli(args, { url, cwd: folder });
    expect(stderr).toMatch(words);
    expect(stdout).toBe('');
    expect(code).toBe(exitCode);
  });

  it('tells that a package is over the limit, before the build exists', async () => {
    await mkdir(join(folder, 'large'));
    const noise = Buffer.from(Array.from({ length: 1_200_000 }, () => Math.floor(Math.random() * 256)));
    await writeFile(join(folder, 'large/noise.bin'), noise);
    const { code, stderr } = await cli(['submit', 'large', '-r', 'team/large'], { url, cwd: folder });
    expect(stderr).toMatch(/larger than this manager accepts. It takes up to 1000000 bytes.\nLeave out/);
    expect(code).toBe(3);
    const page = await http.app.inject('/api/v1/builds?repository=team/large');
    expect(buildListSchema.parse(page.json()).builds).toEqual([]);
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
    await complete(claim);
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
    const { url: databaseUrl } = await database.createDatabase();
    const before = await openTestHttp(database, { databaseUrl });
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

    await using after = await openTestHttp(database, { databaseUrl });
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
    await complete(claim);
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

async function namesInPackage(id: string): Promise<string[]> {
  const blob = await http.blobs.open(id);
  if (!blob) throw new Error('there is no package');
  const archive = await buffer(blob.content.pipe(createGunzip()));
  const names: string[] = [];
  const entries = extract();
  entries.on('entry', ({ name }, content, next) => {
    names.push(name);
    content.resume();
    next();
  });
  const finished = new Promise<void>((resolve, reject) => {
    entries.on('finish', resolve);
    entries.on('error', reject);
  });
  entries.end(archive);
  await finished;
  return names.sort();
}
