import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { importBaseImage } from '../../lab/base-image.ts';
import { startSshServer, type LabSshServer } from '../../lab/ssh-server.ts';
import { buildSchema } from '../../src/contract/api.ts';
import {
  commandLines,
  contents,
  followUntil,
  logOf,
  placesOf,
  quayBuild,
  startE2e,
  submit,
  type E2e,
} from './support.ts';

/** A key of a build opens to its steps what it opens, and is nowhere. */

let e2e: E2e;
let server: LabSshServer;
let sha: string;
beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
  const base = `${e2e.bases.host}/library/ssh:1`;
  await importBaseImage(e2e.engine, base, ['/usr/bin/ssh', '/usr/bin/ssh-add']);
  await e2e.engine.docker(['push', '--quiet', base]);
  await e2e.engine.docker(['rmi', base]);
  // Where containers reach this machine.
  server = await startSshServer({ address: e2e.engine.bridgeAddress });
  sha = await server.commit('private', { secret: 'what only the key opens' });
});
afterAll(async () => {
  await server.stop();
  await e2e[Symbol.asyncDispose]();
});

/** A step that asks the private repository for its newest commit, and one after it without the agent. */
const dockerfile = (more = ''): string => `FROM ssh:1
RUN --mount=type=ssh ssh-add -L && ssh -T -p ${server.port} -o StrictHostKeyChecking=no ${server.user}@${e2e.engine.bridgeAddress} \\
  "git-upload-pack '${server.root}/private.git'" </dev/null 2>/dev/null | head -c 44 | tail -c 40; echo " is the newest"
RUN test ! -e "$SSH_AUTH_SOCK" && ! ls /run/buildkit/ssh_agent.0
${more}`;

/** Lines of the key that are its own, and not those of every key. */
const linesOf = (key: string): string[] =>
  key.split('\n').filter((line) => line.length > 40 && !line.startsWith('-----'));

it('opens a private repository to a step, and is in no layer, log, answer or file of worker and manager', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine);
  const folder = join(directory, 'app');
  await mkdir(folder);
  await writeFile(join(folder, 'Dockerfile'), dockerfile());
  await writeFile(join(directory, 'key'), server.privateKey);
  const { code, stdout, stderr } = await quayBuild(farm, [
    ...['submit', folder, '--repository', 'team/app', '--json', '--ssh', join(directory, 'key')],
  ]);
  expect(code, stderr).toBe(0);
  const build = buildSchema.parse(JSON.parse(stdout));
  const log = await logOf(farm, build.id);
  expect(log).toContain('ssh-ed25519 ');
  expect(log).toContain(`${sha} is the newest`);

  const pushed = `${farm.registry.host}/team/app:latest`;
  const saved = join(directory, 'saved.tar');
  await engine.docker(['save', '--output', saved, pushed]);
  const seen = { layers: await readFile(saved, 'latin1'), log, answer: stdout + stderr };
  expect(await placesOf(linesOf(server.privateKey), e2e, worker, seen)).toEqual([]);
  await worker.stop();
});

it('stands in no command line and no file while a step may use it', async () => {
  const { farm, engine, directory } = e2e;
  const worker = await farm.startWorker(engine);
  const { id } = await submit(
    farm,
    { repository: 'team/app', ssh: { other: server.privateKey } },
    new TextEncoder().encode('FROM ssh:1\nRUN --mount=type=ssh,id=other ssh-add -l; sleep 600\n'),
  );
  await followUntil(farm, id, (events) => events.includes('(ED25519)'));
  const seen = (await commandLines()) + (await contents(join(directory, 'work')));
  for (const line of linesOf(server.privateKey)) expect(seen).not.toContain(line);
  expect(seen).toContain('ssh-agent');
  await fetch(`${farm.url}/api/v1/builds/${id}/cancel`, { method: 'POST' });
  await worker.stop();
});

it('is missed in clear words by a step that requires another one, and where the engine builds classically', async () => {
  const { farm, engine, directory } = e2e;
  const build = async (args: readonly string[]): Promise<string> => {
    const { code, stdout } = await quayBuild(farm, [
      ...['submit', join(directory, 'Dockerfile'), '--repository', 'team/app', ...args],
    ]);
    expect(code).toBe(1);
    return stdout;
  };
  await writeFile(
    join(directory, 'Dockerfile'),
    'FROM busybox:stable\nRUN --mount=type=ssh,id=other,required true\n',
  );
  const worker = await farm.startWorker(engine);
  expect(await build(['--ssh', join(directory, 'key')])).toContain('this build was given no ssh key other');
  await worker.stop();
  const classic = await farm.startWorker(engine, { BUILDER: 'classic' });
  expect(await build(['--ssh', join(directory, 'key')])).toContain(
    'This build has ssh keys, which only BuildKit',
  );
  await classic.stop();
});
