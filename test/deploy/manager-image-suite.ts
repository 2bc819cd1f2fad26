import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { importBaseImage } from '../../lab/base-image.ts';
import type { LabEngine } from '../../lab/engine.ts';
import { MANAGER_IMAGE, WORKER_IMAGE } from '../../lab/images.ts';
import { folderPrefix } from '../../lab/orphans.ts';
import { freePort } from '../../lab/ports.ts';
import { startRegistry, type LabRegistry } from '../../lab/registry.ts';
import { buildSchema } from '../../src/contract/api.ts';

/** The manager's image by itself, as `docker run` starts it. */

const DATA = '/var/lib/quay-build-manager';

let engine: LabEngine;
let registry: LabRegistry;
let directory: string;

const inspectedSchema = z.array(
  z.object({
    State: z.object({
      Status: z.string(),
      ExitCode: z.number(),
      OOMKilled: z.boolean(),
      Health: z.object({ Status: z.string() }),
    }),
  }),
);
const stateOf = async (container: string): Promise<z.output<typeof inspectedSchema>[number]['State']> => {
  const [inspected] = inspectedSchema.parse(JSON.parse(await engine.docker(['inspect', container])));
  if (!inspected) throw new Error(`there is no container ${container}`);
  return inspected.State;
};
/** Its PostgreSQL may have its log to replay. */
const becomesHealthy = (container: string): Promise<void> =>
  expect.poll(async () => (await stateOf(container)).Health.Status, { timeout: 150_000 }).toBe('healthy');
/** What a program in a container of the image prints. */
const inImage = (...command: string[]): Promise<string> =>
  engine.docker(['run', '--rm', '--entrypoint', command[0] ?? '', MANAGER_IMAGE, ...command.slice(1)]);

interface Started {
  readonly name: string;
  readonly url: string;
  readonly token: string;
}

/** Starts a manager on a volume of this name, as docs/images.md says, with a token and more options of `docker run`. */
async function start(name: string, ...options: string[]): Promise<Started> {
  const volume = ['--volume', `${name}:${DATA}`];
  const port = await freePort();
  const url = `http://${engine.bridgeAddress}:${port}`;
  const token = await engine.docker([
    'run',
    '--rm',
    ...volume,
    MANAGER_IMAGE,
    'token',
    'ops',
    '--scope',
    'admin',
  ]);
  await engine.docker(['run', '--rm', ...volume, MANAGER_IMAGE, 'ticket', 'workers']);
  await engine.docker([
    ...[
      'run',
      '--detach',
      '--name',
      name,
      '--health-interval',
      '2s',
      ...volume,
      '--publish',
      `${engine.bridgeAddress}:${port}:8686`,
    ],
    ...['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
    ...['--env', `PUBLIC_URL=${url}`, '--env', `MANAGER_ID=${name}`, ...options, MANAGER_IMAGE],
  ]);
  await becomesHealthy(name);
  return { name, url, token: token.trim() };
}

async function ask({ url, token }: Started, path: string, init: RequestInit = {}): Promise<unknown> {
  const answer = await fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBeLessThan(300);
  return answer.json();
}

/** Submits a build of a lone Dockerfile; answers with its id. */
async function submit(manager: Started, repository: string, dockerfile: string): Promise<string> {
  const form = new FormData();
  form.append('request', JSON.stringify({ repository, registry: registry.host }));
  form.append('package', new Blob([dockerfile]), 'Dockerfile');
  return buildSchema.parse(await ask(manager, '/api/v1/builds', { method: 'POST', body: form })).id;
}

/** What holds of the image on an engine that has it, and the worker's. */
export function managerImageSuite(engineOf: () => LabEngine): void {
  describe("the manager's image", () => {
    beforeAll(async () => {
      engine = engineOf();
      registry = await startRegistry();
      directory = await mkdtemp(`${folderPrefix()}manager-image-`);
      await importBaseImage(engine, `${registry.host}/library/busybox:stable`);
      await engine.docker(['push', '--quiet', `${registry.host}/library/busybox:stable`]);
    });
    afterAll(async () => {
      await engine.docker(['rm', '--force', 'kept', 'executing']);
      await registry.stop();
      await rm(directory, { recursive: true });
    });

    it('holds the manager and the command line, and nothing to build them with', async () => {
      expect(await inImage('quay-build-manager', '--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
      expect(await inImage('quay-build', '--help')).toContain('quay-build submit');
      const there = await inImage(
        ...['sh', '-c'],
        'command -v npm npx gcc make python3; ls -A /root /tmp /var/lib/apt/lists /var/cache/apt; ' +
          'find / -xdev -name "*.ts" ! -name "*.d.ts" -o -xdev -name "*.a" -o -xdev -name .npm -o -xdev -perm -4000 -path "/opt/*"; true',
      );
      expect(there.replaceAll(/^\/\S+:$|^\s*$/gm, '').trim()).toBe('');
    });

    it('refuses to be open to everybody unless it is told to', async () => {
      await expect(engine.docker(['run', '--rm', MANAGER_IMAGE])).rejects.toThrow(
        'PUBLIC_URL: say how workers',
      );
      await expect(
        engine.docker([
          'run',
          '--rm',
          '--env',
          'PUBLIC_URL=http://manager:8686',
          '--env',
          'API_TOKENS_FILE=',
          MANAGER_IMAGE,
        ]),
      ).rejects.toThrow('set API_TOKENS_FILE, or OPEN_HTTP_TO_EVERYBODY=yes');
    });

    it('runs as no root on a read-only root, keeps its data when it is killed, and stops in order', async () => {
      const manager = await start('kept');
      const users = await engine.docker(['exec', 'kept', 'sh', '-c', 'cat /proc/[0-9]*/status; true']);
      const uids = [...users.matchAll(/^Uid:\t(\d+)\t(\d+)/gm)].flatMap(([, real, effective]) => [
        real,
        effective,
      ]);
      // An init, the manager, its PostgreSQL and that one's processes.
      expect(uids.length).toBeGreaterThan(10);
      expect(new Set(uids)).toEqual(new Set(['10001']));
      expect((await fetch(`${manager.url}/api/v1/builds`)).status).toBe(401);
      const id = await submit(manager, 'team/waits', 'FROM scratch\n');

      await engine.docker(['kill', 'kept']);
      await expect.poll(async () => (await stateOf('kept')).Status).toBe('exited');
      await engine.docker(['start', 'kept']);
      await becomesHealthy('kept');
      expect(await ask(manager, `/api/v1/builds/${id}`)).toMatchObject({ id, state: 'waiting' });

      await engine.docker(['stop', '--time', '120', 'kept']);
      expect(await stateOf('kept')).toMatchObject({ Status: 'exited', ExitCode: 0, OOMKilled: false });
      // The engine writes the last lines when it comes to it.
      await expect
        .poll(() => engine.docker(['logs', 'kept']))
        .toMatch(/"signal":"SIGTERM","msg":"manager stops"/);
    });

    it("starts the worker's image for a build, on an engine whose socket is mounted", async () => {
      const executors = join(directory, 'executors.json');
      const wampPort = await freePort();
      await writeFile(
        executors,
        JSON.stringify([
          { name: 'containers', type: 'container', capacity: 1, image: WORKER_IMAGE, socket: engine.socket },
        ]),
        { mode: 0o644 },
      );
      const manager = await start(
        'executing',
        ...[
          '--volume',
          `${engine.socket}:/var/run/docker.sock`,
          '--group-add',
          String((await stat(engine.socket)).gid),
        ],
        ...['--volume', `${executors}:/etc/quay-build-manager/executors.json:ro`],
        ...['--env', 'EXECUTORS_FILE=/etc/quay-build-manager/executors.json', '--env', 'REGISTRATION=off'],
        ...['--env', 'REGISTRATION_TICKETS_FILE='],
        ...['--publish', `${engine.bridgeAddress}:${wampPort}:8787`],
        ...['--env', `PUBLIC_WAMP_URL=ws://${engine.bridgeAddress}:${wampPort}`],
        ...['--env', `REGISTRY=${registry.host}`],
      );
      const dockerfile = `FROM ${registry.host}/library/busybox:stable\nRUN echo hosted > /where\n`;
      const id = await submit(manager, 'team/hosted', dockerfile);
      const state = async (): Promise<string> =>
        buildSchema.parse(await ask(manager, `/api/v1/builds/${id}`)).state;
      await expect.poll(state, { timeout: 150_000 }).toMatch(/^(?:complete|error|internalerror)$/);
      expect(await ask(manager, `/api/v1/builds/${id}`)).toMatchObject({
        state: 'complete',
        tries: [{ outcome: 'complete' }],
      });
      const image = `${registry.host}/team/hosted:latest`;
      await engine.docker(['pull', '--quiet', image]);
      expect(await engine.docker(['run', '--rm', image, 'cat', '/where'])).toBe('hosted\n');
      const workers = (): Promise<string> =>
        engine.docker(['ps', '--all', '--quiet', '--filter', 'label=io.quay.build-manager.worker']);
      await expect.poll(workers).toBe('');
    });
  });
}
