import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import type { LabEngine } from '../../../lab/engine.ts';
import { startPodman } from '../../../lab/podman.ts';
import { freePort } from '../../../lab/ports.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { parseStepHeading } from '../../../src/contract/log-messages.ts';
import type { RegistryCredentials } from '../../../src/worker/engine/engine.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall, runs, type RecordedCall } from './support.ts';

/** Podman's own service, through its socket. */

const BASE = 'test/base:1';
/** A published test vector of bcrypt: the hash of `U*U`. */
const HTPASSWD = 'builder:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n';
const RIGHT: RegistryCredentials = { username: 'builder', password: 'U*U' };
const WRONG: RegistryCredentials = { username: 'builder', password: 'guessed' };

let podman: LabEngine;
let open: LabRegistry;
let guarded: LabRegistry;
let directory: string;
const engine = () => createEngine({ dockerHost: podman.dockerHost, builder: 'auto' });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'engine-podman-'));
  const path = join(directory, 'htpasswd');
  await writeFile(path, HTPASSWD);
  [podman, open, guarded] = await Promise.all([
    startPodman(),
    startRegistry(),
    startRegistry({ kind: 'htpasswd', path }),
  ]);
  await importBaseImage(podman, BASE);
});
afterAll(async () => {
  await Promise.all([podman.stop(), open.stop(), guarded.stop()]);
  await rm(directory, { recursive: true });
});

function headings(call: RecordedCall) {
  return call
    .output()
    .split('\n')
    .map(parseStepHeading)
    .filter((heading) => heading !== null);
}

/** Builds a Dockerfile, and answers with what was said. */
async function build(
  files: Readonly<Record<string, string>>,
  more: Parameters<typeof buildOf>[1] = {},
): Promise<{ call: RecordedCall; imageId: string; reference: string }> {
  await using context = await makeContext(files);
  const call = recordCall();
  const asked = buildOf(context.path, more);
  return { call, reference: asked.reference, ...(await engine().build(asked, call)) };
}

async function digestAtRegistry(repository: string, tag: string): Promise<string | null> {
  const response = await fetch(`http://${open.host}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    // What was imported Podman pushes in the form of OCI, what it builds for Docker's API in Docker's.
    headers: {
      Accept:
        'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json',
    },
  });
  return response.headers.get('docker-content-digest');
}

async function pushTo(host: string, credentials: RegistryCredentials | null): Promise<{ digest: string }> {
  await engine().tag(BASE, `${host}/team/app`, 'v1', recordCall().signal);
  return engine().push(`${host}/team/app`, 'v1', credentials, recordCall());
}

test('says what it is, and that it builds classically', async () => {
  expect(await engine().describe(recordCall().signal)).toEqual({
    name: 'Podman Engine',
    version: expect.stringMatching(/^\d+\.\d+/) as string,
    builder: 'classic',
  });
  const buildkit = createEngine({ dockerHost: podman.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({ Dockerfile: `FROM ${BASE}\n` });
  const lacking = {
    kind: 'lacking',
    message: 'This engine has no BuildKit, which BUILDER=buildkit asks for.',
  };
  await expect(buildkit.describe(recordCall().signal)).rejects.toMatchObject(lacking);
  await expect(buildkit.build(buildOf(context.path), recordCall())).rejects.toMatchObject(lacking);
});

describe('builds', () => {
  test('with build arguments, a target and labels; the steps of all its stages are counted', async () => {
    const { call, imageId, reference } = await build(
      {
        Dockerfile: [
          'ARG TAG=missing',
          `FROM test/base:\${TAG} AS compile`,
          'ARG WORDS',
          'RUN echo "<$WORDS> ✓ grün" > /result; cat /result',
          `FROM ${BASE} AS wanted`,
          'COPY --from=compile /result /result',
          'RUN printf "no newline"; cat /result >&2',
          'FROM nowhere.invalid/base',
          'RUN exit 1',
        ].join('\n'),
      },
      {
        buildArgs: { TAG: '1', WORDS: 'two words=2' },
        target: 'wanted',
        labels: { team: 'blue', empty: '' },
      },
    );

    expect(imageId).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await engine().inspect(reference, recordCall().signal)).toMatchObject({ imageId });
    const steps = headings(call);
    expect(steps.map(({ ordinal, total }) => [ordinal, total])).toEqual(
      [1, 2, 3, 4, 5, 6].map((ordinal) => [ordinal, 6]),
    );
    expect(steps[2]?.instruction).toMatch(/^RUN echo/);
    expect(call.output()).toContain('<two words=2> ✓ grün\n');
    const labels: unknown = JSON.parse(
      await podman.docker(['inspect', '--format', '{{json .Config.Labels}}', reference]),
    );
    expect(labels).toMatchObject({ team: 'blue', empty: '' });
  });

  test('from its cache the second time, and says so', async () => {
    const files = { Dockerfile: `FROM ${BASE}\nCOPY source /source\nRUN cat /source\n`, source: 'printed\n' };
    const labels = { one: '1', two: '2' };
    await build(files, { labels });
    const { call } = await build(files, { labels });
    expect(headings(call).map(({ ordinal, total }) => [ordinal, total])).toEqual(
      [1, 2, 3, 4, 5].map((ordinal) => [ordinal, 5]),
    );
    expect(call.output()).toContain(' ---> Using cache\n');
    expect(call.output()).not.toContain('printed');
  });

  test('a context without what .dockerignore names, and a Dockerfile that lies beside it', async () => {
    const list = `FROM ${BASE}\nCOPY . /context\nRUN cd /context && find . -type f | sort\n`;
    const { call } = await build({
      Dockerfile: list,
      '.dockerignore': 'secret*\nmodules\n!modules/kept\nDockerfile\n.dockerignore\n',
      'secret.txt': 's',
      'modules/left': 's',
      'modules/kept': 'wanted',
      file: 'wanted',
    });
    expect(call.output()).toContain('\n./file\n./modules/kept\n');
    expect(call.output()).not.toMatch(/^\.\/(?:secret|Docker|\.docker|modules\/left)/m);

    await using context = await makeContext({ 'app/file': 'wanted', 'beside/Dockerfile': list });
    const outside = recordCall();
    const dockerfile = join(context.path, 'beside/Dockerfile');
    await engine().build(buildOf(join(context.path, 'app'), { dockerfile }), outside);
    expect(outside.output()).toMatch(/\n\.\/file\n/);
    expect(outside.output()).not.toContain('ockerfile.');
  });

  test('a Dockerfile by whatever name, which is never one of a file of the machine', async () => {
    const elsewhere = join(directory, 'Dockerfile');
    await writeFile(elsewhere, `FROM ${BASE}\nRUN echo taken from elsewhere\n`);
    const names = ['null', '"quoted"', 'with space', `["${elsewhere}"]`];
    for (const name of names) {
      await using context = await makeContext({ [name]: `FROM ${BASE}\nRUN echo taken from the context\n` });
      const call = recordCall();
      await engine().build(buildOf(context.path, { dockerfile: join(context.path, name) }), call);
      expect(call.output()).toContain('RUN echo taken from the context');
    }
  });

  test('in a network of its own, not in that of the machine', async () => {
    await using server = await listen();
    const { call } = await build({
      Dockerfile: `FROM ${BASE}\nRUN ip addr; nc -w 1 127.0.0.1 ${server.port} </dev/null && echo reached || echo not reached\n`,
    });
    expect(call.output()).toMatch(/inet 10\.213\./);
    expect(call.output()).toContain('not reached\n');
  });

  test('a base with the credentials of its host, and no other', async () => {
    await pushTo(guarded.host, RIGHT);
    const files = { Dockerfile: `FROM ${guarded.host}/team/app:v1\nRUN true\n` };
    const withCredentials = (credentials: RegistryCredentials | null) =>
      build(files, {
        pull: true,
        credentials: new Map(credentials ? [[guarded.host, credentials]] : []),
      });
    await expect(withCredentials(null)).rejects.toMatchObject({ kind: 'denied' });
    await expect(withCredentials(WRONG)).rejects.toMatchObject({ kind: 'denied' });
    await expect(withCredentials(RIGHT)).resolves.toMatchObject({
      imageId: expect.stringMatching(/^sha256:/) as string,
    });
  });
});

describe('tells', () => {
  test.each([
    { what: 'a step that fails', text: `FROM ${BASE}\nRUN echo last words; exit 7\n`, kind: 'failed' },
    { what: 'a file that is not there', text: `FROM ${BASE}\nCOPY absent /\n`, kind: 'failed' },
    { what: 'an unknown instruction', text: `FROM ${BASE}\nFETCH it\n`, kind: 'dockerfile' },
    { what: 'an empty Dockerfile', text: '', kind: 'dockerfile' },
    { what: 'a Dockerfile without FROM', text: 'RUN true\n', kind: 'dockerfile' },
  ])('of $what, without a path of the machine', async ({ text, kind }) => {
    const failure = build({ Dockerfile: text });
    await expect(failure).rejects.toMatchObject({ name: 'EngineError', kind });
    await expect(failure).rejects.not.toThrow(/\/tmp|libpod_builder/);
    expect(await containers()).toEqual([]);
  });

  test('which step failed, with its exit code', async () => {
    await expect(
      build({ Dockerfile: `FROM ${BASE}\nRUN true\nRUN echo last words; exit 7\n` }),
    ).rejects.toThrow(/^Step 3\/3 : RUN echo last words; exit 7: .*exit status 7$/);
  });

  test('of a Dockerfile, a target and a base that are not there', async () => {
    await expect(build({ file: 'x' })).rejects.toMatchObject({ kind: 'dockerfile' });
    await expect(build({ Dockerfile: `FROM ${BASE}\n` }, { target: 'four' })).rejects.toMatchObject({
      kind: 'dockerfile',
    });
    await expect(build({ Dockerfile: `FROM ${open.host}/no/such:1\n` })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });

  test('that it has no secrets to give to a step', async () => {
    await expect(
      build({ Dockerfile: `FROM ${BASE}\n` }, { secrets: new Map([['key', 'value']]) }),
    ).rejects.toThrow(/which only BuildKit can/);
  });
});

describe('registries', () => {
  test('each tag is pushed by itself, and its digest is the one at the registry', async () => {
    const { reference } = await build({ Dockerfile: `FROM ${BASE}\nRUN echo another > /file\n` });
    const repository = `${open.host}/team/tags`;
    const { signal } = recordCall();
    await engine().tag(BASE, repository, 'first', signal);
    await engine().tag(reference, repository, 'second', signal);
    await engine().tag(reference, repository, 'kept-here', signal);

    const first = await engine().push(repository, 'first', null, recordCall());
    const second = await engine().push(repository, 'second', null, recordCall());

    expect(first.digest).toBe(await digestAtRegistry('team/tags', 'first'));
    expect(second.digest).toBe(await digestAtRegistry('team/tags', 'second'));
    expect(first.digest).not.toBe(second.digest);
    expect(await digestAtRegistry('team/tags', 'kept-here')).toBeNull();
  });

  test('pulls by tag and by digest what was removed', async () => {
    const { signal } = recordCall();
    const repository = `${open.host}/team/pulled`;
    const { imageId } = await build(
      { Dockerfile: 'FROM scratch\nCOPY file /\n', file: 'x'.repeat(9000) },
      { reference: `${repository}:v1` },
    );
    const { digest } = await engine().push(repository, 'v1', null, recordCall());
    await engine().untag(`${repository}:v1`);
    expect(await engine().inspect(`${repository}:v1`, signal)).toBeNull();

    await engine().pull(`${repository}:v1`, null, recordCall());
    expect(await engine().inspect(`${repository}:v1`, signal)).toMatchObject({ imageId });

    await engine().untag(`${repository}:v1`);
    await engine().pull(`${repository}@${digest}`, null, recordCall());
    expect(await engine().inspect(`${repository}@${digest}`, signal)).toMatchObject({ imageId });
    expect(await engine().triggers(BASE, signal)).toBeNull();
  });

  test('with a password: with the right one, and denied without', async () => {
    expect((await pushTo(guarded.host, RIGHT)).digest).toMatch(/^sha256:/);
    await expect(pushTo(guarded.host, null)).rejects.toMatchObject({ kind: 'denied' });
    await expect(pushTo(guarded.host, WRONG)).rejects.toMatchObject({ kind: 'denied' });
    const reference = `${guarded.host}/team/app:v1`;
    await engine().untag(reference);
    await expect(engine().pull(reference, null, recordCall())).rejects.toMatchObject({ kind: 'denied' });
    await expect(engine().pull(reference, WRONG, recordCall())).rejects.toMatchObject({ kind: 'denied' });
    await engine().pull(reference, RIGHT, recordCall());
  });

  test('that do not have a name, or are not there', async () => {
    for (const name of ['team/none:v1', 'team/tags:none']) {
      await expect(engine().pull(`${open.host}/${name}`, null, recordCall())).rejects.toMatchObject({
        kind: 'not-found',
      });
    }
    const nobody = `127.0.0.1:${await freePort()}`;
    await expect(pushTo(nobody, null)).rejects.toMatchObject({ kind: 'failed' });
    await expect(engine().pull(`${nobody}/team/app:v1`, null, recordCall())).rejects.toMatchObject({
      kind: 'failed',
    });
  });

  test('removing a name that is gone is no error', async () => {
    await expect(engine().untag('test/never-was:1')).resolves.toBeUndefined();
  });
});

test('a build that is aborted in a step leaves no container and no process', async () => {
  const time = String(100_000 + (randomBytes(4).readUInt32BE() % 1_000_000_000));
  await using context = await makeContext({
    Dockerfile: `FROM ${BASE}\nRUN echo it begins; sleep ${time}\nRUN sleep ${time}\n`,
  });
  const controller = new AbortController();
  const call = recordCall(controller.signal);
  const building = engine().build(buildOf(context.path), call);
  await call.printed('it begins\n');
  await expect.poll(() => runs(time)).toBe(true);

  controller.abort(new Error('told to stop'));

  await expect(building).rejects.toThrow('told to stop');
  expect(await runs(time)).toBe(false);
  await expect.poll(() => containers()).toEqual([]);
});

/** What Podman has of containers, those of builds among them. */
async function containers(): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request(
      { socketPath: podman.socket, path: '/v4.0.0/libpod/containers/json?all=true&external=true' },
      (response) => void json(response).then(resolve, reject),
    )
      .on('error', reject)
      .end();
  });
}

async function listen(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}
