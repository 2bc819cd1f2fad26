import { once } from 'node:events';
import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildListSchema, buildSchema } from '../../../src/contract/api.ts';
import { portOf } from '../../../src/manager/listen.ts';
import { record } from '../../manager/support/records.ts';
import { complete, DIGEST, writeApp } from '../support/builds.ts';
import { cli, startCli } from '../support/cli.ts';
import { startTestApi, type TestApi } from '../support/manager.ts';

/** `quay-build submit`, in a pipe. */

let http: TestApi;
let url: string;
let folder: string;
beforeAll(async () => {
  http = await startTestApi({ limits: { packageMax: 1_000_000 } });
  ({ url } = http);
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
  await writeApp(folder);
});
afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

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
  await complete(http.store, claim);
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
  [['submit', 'app', '-r', 'team/app', '-t', 'no spaces'], 2, /tag_names\.0: must be a tag/],
  [['submit', 'git://git.example/app.git', '-r', 'team/app'], 3, /does not fetch from git URLs of this form/],
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
])('%j is refused with exit code %i', async (args, exitCode, words) => {
  const { code, stdout, stderr } = await cli(args, { url, cwd: folder });
  expect(stderr).toMatch(words);
  expect(stdout).toBe('');
  expect(code).toBe(exitCode);
});

it.each([
  [[], 'There is no file Dockerfile in parts: a build needs a Dockerfile.\nName it by'],
  [['--dockerfile', 'docker'], 'There is no file docker in parts'],
  [['--dockerfile', 'docker/dev.Dockerfile'], 'There is no file docker/dev.Dockerfile in parts'],
  [['--context', 'service'], 'There is no file service/Dockerfile in parts'],
  [['--context', 'services'], 'There is no folder services in parts.\nName the build context by'],
])('says what a folder lacks, before it is packed: %j', async (options, words) => {
  await mkdir(join(folder, 'parts/docker'), { recursive: true });
  await mkdir(join(folder, 'parts/service'), { recursive: true });
  const { code, stderr } = await cli(['submit', 'parts', '-r', 'team/parts', ...options], {
    url,
    cwd: folder,
  });
  expect(stderr).toContain(words);
  expect(stderr).not.toContain('packing');
  expect(code).toBe(2);
});

it.each([
  [['--dockerfile', 'docker/prod.Dockerfile']],
  [['--context', '/service/', '--dockerfile', '../docker/prod.Dockerfile']],
])('finds a Dockerfile elsewhere in the folder, also an ignored one: %j', async (options) => {
  const place = await mkdtemp(join(folder, 'elsewhere-'));
  await mkdir(join(place, 'docker'));
  await mkdir(join(place, 'service'));
  await writeFile(join(place, '.dockerignore'), '**\n');
  await writeFile(join(place, 'docker/prod.Dockerfile'), 'FROM scratch\n');
  await writeFile(join(place, 'service/main.c'), '');
  const { code, stdout } = await cli(['submit', place, '-r', 'team/elsewhere', '-d', ...options], { url });
  expect(code).toBe(0);
  const row = await http.store.packages.findOfBuild(stdout.trim());
  expect(await namesInPackage(row?.id ?? '')).toContain('docker/prod.Dockerfile');
  await http.store.builds.cancel(stdout.trim(), 'test');
});

it('tells that a package is over the limit, before the build exists', async () => {
  await mkdir(join(folder, 'large'));
  const noise = Buffer.from(Array.from({ length: 1_200_000 }, () => Math.floor(Math.random() * 256)));
  await writeFile(join(folder, 'large/noise.bin'), noise);
  await writeFile(join(folder, 'large/Dockerfile'), 'FROM scratch\n');
  const { code, stderr } = await cli(['submit', 'large', '-r', 'team/large'], { url, cwd: folder });
  expect(stderr).toMatch(/larger than this manager accepts. It takes up to 1000000 bytes.\nLeave out/);
  expect(code).toBe(3);
  const page = await http.app.inject('/api/v1/builds?repository=team/large');
  expect(buildListSchema.parse(page.json()).builds).toEqual([]);
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
