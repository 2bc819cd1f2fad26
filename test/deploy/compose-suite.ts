import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { importBaseImage } from '../../lab/base-image.ts';
import { freeBridgeAddress, type LabEngine } from '../../lab/engine.ts';
import { bridgeName, folderPrefix } from '../../lab/orphans.ts';
import { freePort } from '../../lab/ports.ts';
import { run } from '../../lab/process.ts';
import { buildListSchema, buildSchema, workerListSchema } from '../../src/contract/api.ts';

/** `deploy/compose.yaml` as it stands, with Debian's docker-compose, on an engine that has the images. */

const DEPLOY = resolve(import.meta.dirname, '../../deploy');
const SERVICES = ['database', 'manager', 'registry', 'worker'];

let engine: LabEngine;
let directory: string;
let env: NodeJS.ProcessEnv;
let api: string;
let registry: string;

const compose = (...args: string[]): Promise<string> => run('docker-compose', args, { cwd: directory, env });
const secret = (name: string): Promise<string> => readFile(join(directory, 'secrets', name), 'utf8');
/** What the secrets are, without telling them when a test fails. */
async function hashes(): Promise<Record<string, string>> {
  const names = (await readdir(join(directory, 'secrets'))).sort();
  const hash = async (name: string): Promise<string> =>
    createHash('sha256')
      .update(await secret(name))
      .digest('hex');
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await hash(name)] as const)));
}
const asOps = async (path: string): Promise<unknown> => {
  const authorization = `Bearer ${(await secret('api-token')).trim()}`;
  const answer = await fetch(`${api}${path}`, { headers: { authorization } });
  expect(answer.status).toBe(200);
  return answer.json();
};
const logIn = async (): Promise<void> => {
  await engine.docker(['login', '--username', 'ops', '--password-stdin', registry], {
    input: await secret('api-token'),
  });
};

const inspectedSchema = z.array(
  z.looseObject({
    Name: z.string(),
    State: z.looseObject({ Status: z.string(), Health: z.looseObject({ Status: z.string() }).optional() }),
    HostConfig: z.looseObject({}),
  }),
);

/** The farm's containers, as who may use the engine sees them. */
async function inspect(): Promise<z.output<typeof inspectedSchema>> {
  const ids = (await compose('ps', '--quiet')).trim().split('\n');
  return inspectedSchema.parse(JSON.parse(await engine.docker(['inspect', ...ids])));
}

const composeSchema = z.object({ networks: z.record(z.string(), z.looseObject({}).nullable()) });

/**
 * What is beside the file as it stands: networks whose bridges tell whose they are, where no other engine of this machine is, since
 * Compose chooses blindly; and health checks that do not wait.
 */
async function override(): Promise<object> {
  const text = await readFile(join(directory, 'compose.yaml'), 'utf8');
  const networks = Object.entries(composeSchema.parse(parse(text)).networks);
  const placed = networks.map(async ([name, own], index) => {
    const subnet = `${(await freeBridgeAddress()).replace(/\d+$/, '0')}/24`;
    const driver_opts = { 'com.docker.network.bridge.name': bridgeName(`c${index}`) };
    return [name, { ...own, driver_opts, ipam: { config: [{ subnet }] } }] as const;
  });
  const services = SERVICES.map((name) => [name, { healthcheck: { interval: '2s' } }] as const);
  return { networks: Object.fromEntries(await Promise.all(placed)), services: Object.fromEntries(services) };
}

/** What holds of it on an engine that has its images. */
export function composeSuite(engineOf: () => LabEngine): void {
  describe('a farm of deploy/compose.yaml', () => {
    beforeAll(async () => {
      engine = engineOf();
      directory = await mkdtemp(`${folderPrefix()}compose-`);
      await cp(DEPLOY, directory, { recursive: true });
      const [apiPort, workersPort, registryPort] = [await freePort(), await freePort(), await freePort()];
      api = `http://127.0.0.1:${apiPort}`;
      registry = `127.0.0.1:${registryPort}`;
      await writeFile(join(directory, 'compose.override.yaml'), JSON.stringify(await override()));
      env = {
        PATH: process.env['PATH'],
        HOME: directory,
        COMPOSE_HTTP_TIMEOUT: '600',
        DOCKER_HOST: engine.dockerHost,
        FARM_DOCKER_SOCKET: engine.socket,
        FARM_API_PORT: String(apiPort),
        FARM_WORKERS_PORT: String(workersPort),
        FARM_REGISTRY_PORT: String(registryPort),
        FARM_URL: api,
        FARM_PUBLIC_NAMESPACES: 'library',
      };
      await run(join(directory, 'prepare'), [], { env });
      await compose('up', '--detach');
    });
    afterAll(async () => {
      await compose('down', '--volumes', '--timeout', '5');
      await rm(directory, { recursive: true });
    });

    it('a farm comes up healthy, hardened, and closed to whoever has no token', async () => {
      await expect
        .poll(async () => (await inspect()).map(({ State }) => State.Health?.Status))
        .toEqual(['healthy', 'healthy', 'healthy', 'healthy']);
      const services = (await inspect()).map(({ Name }) => /_([a-z]+)_1$/.exec(Name)?.[1]).sort();
      expect(services).toEqual(SERVICES);
      for (const { HostConfig } of await inspect())
        expect(HostConfig).toMatchObject({
          Privileged: false,
          ReadonlyRootfs: true,
          CapDrop: ['ALL'],
          SecurityOpt: ['no-new-privileges:true'],
          RestartPolicy: { Name: 'unless-stopped' },
        });
      for (const path of ['/api/v1/builds', '/api/v1/workers', '/metrics'])
        expect((await fetch(`${api}${path}`)).status).toBe(401);
      const ready = async (): Promise<string[]> =>
        workerListSchema.parse(await asOps('/api/v1/workers')).workers.map(({ state }) => state);
      await expect.poll(ready).toEqual(['ready', 'ready']);
    });

    it('only the manager shares a network with the database, which leads nowhere else', async () => {
      const [network = ''] = (
        await engine.docker(['network', 'ls', '--quiet', '--filter', 'name=database'])
      ).split('\n');
      const [inspected] = z
        .array(
          z.object({
            Internal: z.boolean(),
            Containers: z.record(z.string(), z.object({ Name: z.string() })),
          }),
        )
        .parse(JSON.parse(await engine.docker(['network', 'inspect', network])));
      expect(inspected?.Internal).toBe(true);
      const members = Object.values(inspected?.Containers ?? {}).map(
        ({ Name }) => /_([a-z]+)_1$/.exec(Name)?.[1],
      );
      expect(members.sort()).toEqual(['database', 'manager']);
    });

    it('a build has its base in the registry, is pushed there by the token of its try, and is pulled by who has a token', async () => {
      const base = `${registry}/library/busybox:stable`;
      await importBaseImage(engine, base);
      await expect(engine.docker(['push', base])).rejects.toThrow(
        /unauthorized|authentication required|denied/,
      );
      await logIn();
      await engine.docker(['push', '--quiet', base]);
      await engine.docker(['logout', registry]);
      await engine.docker(['rmi', base]);
      const dockerfile = join(directory, 'Dockerfile');
      await writeFile(dockerfile, `FROM ${base}\nRUN echo farm-built > /where\n`);
      const submitted = await compose(
        ...['run', '--rm', '-T', '--volume', `${dockerfile}:/Dockerfile:ro`, 'cli'],
        ...['submit', '/Dockerfile', '--repository', 'team/app', '--json'],
      );
      const build = buildSchema.parse(JSON.parse(submitted));
      expect(build).toMatchObject({ state: 'complete', submitted_by: 'ops' });
      const image = `${registry}/team/app:latest`;
      await engine.docker(['rmi', '--force', image]).catch(() => undefined);
      await expect(engine.docker(['pull', image])).rejects.toThrow(
        /unauthorized|authentication required|denied/,
      );
      await logIn();
      await engine.docker(['pull', '--quiet', image]);
      expect(await engine.docker(['run', '--rm', image, 'cat', '/where'])).toBe('farm-built\n');
    });

    it('secrets are in no container description, log, configuration or setting, and nobody else comes to the files', async () => {
      const names = await readdir(join(directory, 'secrets'));
      expect(names.sort()).toEqual([
        'api-token',
        'database-password',
        'database-url',
        'registry-http-secret',
        'worker-ticket',
      ]);
      expect((await stat(join(directory, 'secrets'))).mode & 0o777).toBe(0o700);
      const seen = {
        inspect: JSON.stringify(await inspect()),
        config: await compose('config'),
        logs: await compose('logs', '--no-color'),
        settings: await readFile(join(directory, '.env'), 'utf8'),
        // Each process of each container, and its environment.
        processes: (
          await Promise.all(
            SERVICES.map((service) =>
              compose('exec', '-T', service, 'sh', '-c', 'cat /proc/[0-9]*/cmdline; true'),
            ),
          )
        ).join('\n'),
      };
      expect(seen.logs).toContain('manager is ready');
      for (const name of names) {
        const value = (await secret(name)).trim();
        expect(value.length).toBeGreaterThan(40);
        for (const [where, text] of Object.entries(seen))
          expect(text.includes(value), `${name} in ${where}`).toBe(false);
      }
    });

    it('what was made stays as it is when it is prepared again, and builds outlive their containers', async () => {
      const before = await hashes();
      const builds = buildListSchema.parse(await asOps('/api/v1/builds'));
      expect(builds.builds).toHaveLength(1);
      // What the database's password is stands in its URL, too.
      await rm(join(directory, 'secrets/database-password'));
      await run(join(directory, 'prepare'), [], { env });
      expect(await hashes()).toEqual(before);
      await compose('up', '--detach', '--force-recreate', 'database', 'manager');
      await expect.poll(async () => (await fetch(`${api}/readyz`).catch(() => null))?.status).toBe(200);
      expect(buildListSchema.parse(await asOps('/api/v1/builds'))).toEqual(builds);
    });

    it('a password that the database keeps, and that is lost, is told of, and can be another', async () => {
      const before = await hashes();
      for (const name of ['database-password', 'database-url']) await rm(join(directory, 'secrets', name));
      const prepare = join(directory, 'prepare');
      await expect(run(prepare, [], { env })).rejects.toThrow(
        /ended with 78: .*the database is there, and keeps its password/s,
      );
      await run(prepare, ['--new-database-password'], { env });
      const after = await hashes();
      const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
      expect(changed).toEqual(['database-password', 'database-url']);
      await compose('up', '--detach', '--force-recreate', 'manager');
      await expect.poll(async () => (await fetch(`${api}/readyz`).catch(() => null))?.status).toBe(200);
      expect(buildListSchema.parse(await asOps('/api/v1/builds')).builds).toHaveLength(1);
    });

    it('what the manager forgot with its volume is made anew when it is prepared again', async () => {
      const before = await hashes();
      await compose('down', '--volumes', '--timeout', '5');
      await run(join(directory, 'prepare'), [], { env });
      const after = await hashes();
      const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
      expect(changed).toEqual(['api-token', 'worker-ticket']);
      await compose('up', '--detach', 'manager');
      await expect.poll(async () => (await fetch(`${api}/readyz`).catch(() => null))?.status).toBe(200);
      expect(buildListSchema.parse(await asOps('/api/v1/builds')).builds).toEqual([]);
    });
  });
}
