import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { freePort } from '../../../lab/ports.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import type { RegistryCredentials } from '../../../src/worker/engine/engine.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall } from './support.ts';

const BASE = 'test/base:1';
/** A published test vector of bcrypt: the hash of `U*U`. */
const HTPASSWD = 'builder:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n';
const RIGHT: RegistryCredentials = { username: 'builder', password: 'U*U' };
const WRONG: RegistryCredentials = { username: 'builder', password: 'guessed' };

let lab: LabEngine;
let open: LabRegistry;
let guarded: LabRegistry;
let directory: string;
const engineOf = (builder: 'auto' | 'buildkit' | 'classic' = 'auto') =>
  createEngine({ dockerHost: lab.dockerHost, builder });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'engine-images-'));
  const path = join(directory, 'htpasswd');
  await writeFile(path, HTPASSWD);
  [lab, open, guarded] = await Promise.all([
    startEngine(),
    startRegistry(),
    startRegistry({ kind: 'htpasswd', path }),
  ]);
  await importBaseImage(lab, BASE);
});
afterAll(async () => {
  await Promise.all([lab.stop(), open.stop(), guarded.stop()]);
  await rm(directory, { recursive: true });
});

/** The digest by which the open registry knows a tag. */
async function digestAtRegistry(repository: string, tag: string): Promise<string | null> {
  const response = await fetch(`http://${open.host}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { Accept: 'application/vnd.docker.distribution.manifest.v2+json' },
  });
  return response.headers.get('docker-content-digest');
}

async function pushTo(host: string, credentials: RegistryCredentials | null): Promise<{ digest: string }> {
  const engine = engineOf();
  await engine.tag(BASE, `${host}/team/app`, 'v1', recordCall().signal);
  return engine.push(`${host}/team/app`, 'v1', credentials, recordCall());
}

test('each of two tags is pushed by itself, and its digest is the one at the registry', async () => {
  const engine = engineOf();
  await using context = await makeContext({ Dockerfile: `FROM ${BASE}\nRUN echo another > /file\n` });
  const build = buildOf(context.path);
  await engine.build(build, recordCall());
  const repository = `${open.host}/team/tags`;
  await engine.tag(BASE, repository, 'first', recordCall().signal);
  await engine.tag(build.reference, repository, 'second', recordCall().signal);
  await engine.tag(build.reference, repository, 'kept-here', recordCall().signal);

  const first = await engine.push(repository, 'first', null, recordCall());
  const second = await engine.push(repository, 'second', null, recordCall());

  expect(first.digest).toBe(await digestAtRegistry('team/tags', 'first'));
  expect(second.digest).toBe(await digestAtRegistry('team/tags', 'second'));
  expect(first.digest).not.toBe(second.digest);
  expect(await digestAtRegistry('team/tags', 'kept-here')).toBeNull();
});

test('pulls by tag and by digest what was removed, and tells how it goes', async () => {
  const engine = engineOf();
  const signal = recordCall().signal;
  const repository = `${open.host}/team/pulled`;
  await using context = await makeContext({
    Dockerfile: 'FROM scratch\nCOPY file /\n',
    file: 'x'.repeat(9000),
  });
  const build = buildOf(context.path, { reference: `${repository}:v1` });
  const { imageId } = await engine.build(build, recordCall());
  const { digest } = await engine.push(repository, 'v1', null, recordCall());
  await engine.untag(`${repository}:v1`);
  expect(await engine.inspect(`${repository}:v1`, signal)).toBeNull();

  const call = recordCall();
  await engine.pull(`${repository}:v1`, null, call);
  expect(await engine.inspect(`${repository}:v1`, signal)).toMatchObject({ imageId });
  expect(call.messages.map(({ status }) => status)).toContain(`Digest: ${digest}`);

  await engine.untag(`${repository}:v1`);
  await engine.pull(`${repository}@${digest}`, null, recordCall());
  expect(await engine.inspect(`${repository}@${digest}`, signal)).toMatchObject({ imageId });
  expect(await engine.triggers(BASE, signal)).toEqual([]);
});

test('removing a name that is gone is no error', async () => {
  await expect(engineOf().untag('test/never-was:1')).resolves.toBeUndefined();
});

test('pushes and pulls where a password is asked, with the right one', async () => {
  const { digest } = await pushTo(guarded.host, RIGHT);
  expect(digest).toMatch(/^sha256:/);
  await engineOf().untag(`${guarded.host}/team/app:v1`);
  await engineOf().pull(`${guarded.host}/team/app:v1`, RIGHT, recordCall());
});

describe('tells apart', () => {
  test('a push that is denied', async () => {
    await expect(pushTo(guarded.host, null)).rejects.toMatchObject({ kind: 'denied' });
    await expect(pushTo(guarded.host, WRONG)).rejects.toMatchObject({ kind: 'denied' });
  });

  test('a pull that is denied', async () => {
    await expect(engineOf().pull(`${guarded.host}/team/app:v1`, WRONG, recordCall())).rejects.toMatchObject({
      kind: 'denied',
    });
  });

  test('a name that the registry does not have', async () => {
    for (const name of ['team/none:v1', 'team/tags:none']) {
      await expect(engineOf().pull(`${open.host}/${name}`, null, recordCall())).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.not.stringContaining('HTTP code') as string,
      });
    }
  });

  test('a registry that is not there', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    await expect(pushTo(nobody, null)).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('connection refused') as string,
    });
    await expect(engineOf().pull(`${nobody}/team/app:v1`, null, recordCall())).rejects.toMatchObject({
      kind: 'failed',
    });
  });

  test('an image that this engine does not have', async () => {
    await expect(
      engineOf().tag('test/never-was:1', `${open.host}/team/app`, 'v1', recordCall().signal),
    ).rejects.toMatchObject({ kind: 'refused' });
  });

  test('an engine that is not there', async () => {
    const engine = createEngine({ dockerHost: 'unix:///nowhere/docker.sock', builder: 'auto' });
    await using context = await makeContext({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    for (const call of [
      () => engine.describe(recordCall().signal),
      () => engine.inspect(BASE, recordCall().signal),
      () => engine.pull(BASE, null, recordCall()),
      () => engine.push('a/b', 'c', null, recordCall()),
      () => engine.build(buildOf(context.path), recordCall()),
    ]) {
      await expect(call()).rejects.toMatchObject({ kind: 'unreachable' });
    }
  });
});

describe.each(['buildkit', 'classic'] as const)('a base image on %s', (builder) => {
  test('is pulled with the credentials of its host', async () => {
    await pushTo(guarded.host, RIGHT);
    await using context = await makeContext({
      Dockerfile: `FROM ${guarded.host}/team/app:v1\nRUN echo ${builder}\n`,
    });
    const build = (credentials: RegistryCredentials | null) =>
      engineOf(builder).build(
        buildOf(context.path, {
          pull: true,
          credentials: new Map(credentials ? [[guarded.host, credentials]] : []),
        }),
        recordCall(),
      );

    await expect(build(null)).rejects.toMatchObject({ kind: 'denied' });
    await expect(build(WRONG)).rejects.toMatchObject({ kind: 'denied' });
    await expect(build(RIGHT)).resolves.toMatchObject({
      imageId: expect.stringMatching(/^sha256:/) as string,
    });
  });

  test.each(['Basic realm="mine"', 'Bearer realm="http://HOST/token",service="mine"'])(
    'does not bring another host credentials when it asks for %s',
    async (challenge) => {
      await using hostile = await startHostileRegistry(challenge);
      await using context = await makeContext({ Dockerfile: `FROM ${hostile.host}/team/app:v1\nRUN true\n` });
      await expect(
        engineOf(builder).build(
          buildOf(context.path, {
            pull: true,
            credentials: new Map([
              [guarded.host, RIGHT],
              ['docker.io', RIGHT],
            ]),
          }),
          recordCall(),
        ),
      ).rejects.toMatchObject({ name: 'EngineError' });
      expect(hostile.requests.length).toBeGreaterThan(0);
      for (const request of hostile.requests) {
        expect(request).not.toContain('U*U');
        expect(request).not.toContain(Buffer.from('builder:U*U').toString('base64'));
      }
    },
  );
});

/** A registry that asks everybody for their password, and keeps what they say. */
async function startHostileRegistry(
  challenge: string,
): Promise<AsyncDisposable & { readonly host: string; readonly requests: string[] }> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      requests.push(`${request.url ?? ''} ${JSON.stringify(request.headers)} ${body}`);
      response.writeHead(401, { 'WWW-Authenticate': challenge.replace('HOST', host) }).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
