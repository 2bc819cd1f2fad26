import { readdir, rm, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { calmEngine, DIGEST, endlessEngine, someBuild, startWorker } from './harness.ts';
import { isReady, phasesOf, READY, startTestManager } from './test-manager.ts';

/** What a slot does with the builds that it is given. */

it('answers with the image and its digests, walks the phases, and takes the next build', async () => {
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  for (let n = 0; n < 2; n += 1) {
    const { error, kwargs } = await connection.build({ ...someBuild, tag_names: ['latest', 'v1'] });
    expect(error).toBeNull();
    expect(kwargs).toEqual({ image_id: 'sha256:image', digests: [`127.0.0.1:5055/team/app@${DIGEST}`] });
  }
  const once = ['unpacking', 'pulling', 'checking-cache', 'building', 'pushing'];
  expect(phasesOf(connection)).toEqual([...once, ...once]);
  expect(await readdir(worker.workDirectory)).toEqual(['key']);
});

it('takes a build that comes before `ready` is answered', async () => {
  let answered: Promise<unknown> | undefined;
  await using manager = await startTestManager({
    onCall: (uri, _kwargs, connection) => {
      if (uri === READY) answered = connection.build(someBuild);
      return undefined;
    },
  });
  await using _worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(([type]) => type === 70);
  expect(await answered).toMatchObject({ error: null });
});

it('runs one build and leaves, when it is hosted', async () => {
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager, realm: 'one-build', token: 'TOKEN' });
  const connection = await manager.connection();
  await connection.frame(isReady);
  expect((await connection.build(someBuild)).error).toBeNull();
  expect(await worker.ended).toBe('left');
});

it('ends as lost when it is hosted and loses its manager', async () => {
  const { engine, begun, stopped } = endlessEngine();
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager, engine, realm: 'one-build', token: 'TOKEN' });
  const connection = await manager.connection();
  await connection.frame(isReady);
  connection.build(someBuild).catch(() => undefined);
  await begun;
  connection.socket.terminate();
  await stopped;
  expect(await worker.ended).toBe('lost');
});

it('refuses a second build while one runs, and goes on with the first', async () => {
  const { engine, begun } = endlessEngine();
  await using manager = await startTestManager({ extensions: ['cancel'] });
  await using _worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  const first = connection.build(someBuild);
  await begun;
  expect(await connection.build(someBuild)).toMatchObject({
    error: 'io.quay.builder.internalerror',
    kwargs: { base_error: 'This worker is busy with another build.' },
  });
  connection.publish('io.quay.builder.cancel', { reason: 'cancelled' });
  expect((await first).error).toBe('io.quay.builder.clientrejectedtransition');
});

it('names what is wrong in its arguments, and never a value', async () => {
  await using manager = await startTestManager();
  await using _worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  const { repository: _, ...rest } = someBuild;
  const { error, kwargs } = await connection.build({ ...rest, tag_names: ['sesame!'], push_token: 7 });
  expect(error).toBe('io.quay.builder.missingorinvalidargument');
  expect(kwargs['base_error']).toMatch(/repository: .*push_token: .*tag_names\.0: must be a tag/);
  expect(kwargs['base_error']).not.toContain('sesame');
  expect((await connection.build({ ...someBuild, build_package: '' })).kwargs['base_error']).toBe(
    'build_package or git: one of them is needed',
  );
  expect((await connection.build(someBuild)).error).toBeNull();
});

it('takes what managers of its contract leave out, and does not mind names that it has not agreed on', async () => {
  await using manager = await startTestManager();
  await using _worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  const leftOut = { dockerfile_path: null, context: null, pull_token: null, git: null, base_image: null };
  const notAgreedOn = { cached_tag: 'latest', timeout: null, labels: ['fast'], platform: { os: 'linux' } };
  const { error } = await connection.build({ ...someBuild, ...leftOut, ...notAgreedOn });
  expect(error).toBeNull();
});

it('stops the build, cleans up and registers anew when its manager is lost', async () => {
  const { engine, begun, stopped } = endlessEngine();
  const untagged: string[] = [];
  engine.untag = (reference) => {
    untagged.push(reference);
    return Promise.resolve();
  };
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  connection.build(someBuild).catch(() => undefined);
  await begun;
  connection.socket.terminate();
  await stopped;
  await (await manager.connection()).frame(isReady);
  expect(untagged).toEqual([expect.stringMatching(/^quay-builder-[0-9a-f-]{36}:build$/)]);
  expect(await readdir(worker.workDirectory)).toEqual(['key']);
});

it('finishes the running build before it leaves, and answers a new one with an error', async () => {
  const begun = Promise.withResolvers<undefined>();
  const finish = Promise.withResolvers<{ imageId: string }>();
  const engine = calmEngine({
    build: () => {
      begun.resolve(undefined);
      return finish.promise;
    },
  });
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager, engine });
  const connection = await manager.connection();
  await connection.frame(isReady);
  const first = connection.build(someBuild);
  await begun.promise;
  worker.leave();
  finish.resolve({ imageId: 'sha256:late' });
  expect((await first).kwargs['image_id']).toBe('sha256:late');
  expect(await worker.ended).toBe('left');
});

it('answers with an error of the contract also when it cannot begin at all', async () => {
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager });
  const connection = await manager.connection();
  await connection.frame(isReady);
  await rm(worker.workDirectory, { recursive: true });
  await writeFile(worker.workDirectory, 'a file where the folder was');
  expect((await connection.build(someBuild)).error).toBe('io.quay.builder.internalerror');
  expect((await connection.build({ ...someBuild, push_token: '\ud800' })).error).toBe(
    'io.quay.builder.internalerror',
  );
});

it('is not ready while its engine does not answer, and leaves when it stops answering', async () => {
  let answers = false;
  const engine = calmEngine({
    describe: () =>
      answers
        ? Promise.resolve({ name: 'calm', version: '1', builder: 'classic' })
        : Promise.reject(new Error('no such socket')),
  });
  await using manager = await startTestManager();
  await using worker = await startWorker({ manager, engine });
  await worker.logged('the engine does not answer: no such socket');

  answers = true;
  const connection = await manager.connection();
  await connection.frame(isReady);

  answers = false;
  await connection.closed;
  answers = true;
  await (await manager.connection()).frame(isReady);
});
