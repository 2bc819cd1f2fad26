import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/worker/clock.ts';
import { EngineError } from '../../../src/worker/engine/engine.ts';
import { DIGEST, fastClock, someBuild } from '../harness.ts';
import { build, image, notingEngine, OWN, withBase } from './one-build.ts';

describe('options of a build', () => {
  const kwargs = { build_args: { A: '1' }, target: 'app', labels: { team: 'blue' }, secrets: { a: 'bcd' } };

  it('reach the engine', async () => {
    const { engine, builds } = notingEngine();
    const story = await build(engine, { kwargs, behaviour: { extensions: ['build-options'] } });
    expect(story.error).toBeNull();
    expect(builds[0]).toMatchObject({ buildArgs: { A: '1' }, target: 'app', labels: { team: 'blue' } });
  });

  it('may be secrets, which are masked in the log, also where they are printed in pieces', async () => {
    const { engine, builds } = notingEngine();
    const story = await build(
      {
        ...engine,
        describe: () => Promise.resolve({ name: 'Docker Engine', version: '1', builder: 'buildkit' }),
        build: async (each, { onMessage }) => {
          builds.push(each);
          await onMessage({ stream: 'the token is SECRET-TO' });
          await onMessage({ stream: 'KEN and the second line is LINE-TWO\n' });
          return { imageId: 'sha256:image' };
        },
      },
      {
        kwargs: { secrets: { npmrc: 'SECRET-TOKEN\r\nLINE-TWO\n' } },
        behaviour: { extensions: ['secrets'] },
      },
    );
    expect(builds[0]?.secrets).toEqual(new Map([['npmrc', 'SECRET-TOKEN\r\nLINE-TWO\n']]));
    expect(story.log.join('')).toContain('the token is ');
    expect(story.log.join('')).toContain('*** and the second line is ***');
    expect(story.log.join('')).not.toMatch(/SECRET-TO|LINE-TWO/);
  });

  it('may not be secrets where the engine builds classically, which is said before anything is fetched', async () => {
    const { engine, builds } = notingEngine();
    const story = await build(
      { ...engine, describe: () => Promise.resolve({ name: 'Old', version: '1', builder: 'classic' }) },
      { kwargs: { secrets: { npmrc: 'SECRET-TOKEN' } }, behaviour: { extensions: ['secrets'] } },
    );
    expect(story).toMatchObject({
      error: 'io.quay.builder.builderror',
      kwargs: { base_error: expect.stringMatching(/secrets, which only BuildKit .* Old, builds/) as string },
      log: [],
    });
    expect(builds).toEqual([]);
  });

  it('are unknown names where the manager has not accepted the extension', async () => {
    const { engine, builds } = notingEngine();
    await build(engine, { kwargs });
    expect(builds[0]).toMatchObject({ buildArgs: {}, target: '', labels: {}, secrets: new Map() });
  });
});

describe('pulling', () => {
  it('pulls every image, each with the credentials of its host and no others', async () => {
    const { engine, pulls, builds } = notingEngine();
    const story = await build(engine, {
      behaviour: { extensions: ['registry-auth'] },
      kwargs: {
        base_image: { username: 'me', password: 'base-password' },
        registry_auth: { 'hub.example': { username: 'you', password: 'hub-password' } },
      },
      source: withBase(
        image(OWN, `${OWN}/team/base`, 'v2'),
        image('hub.example', 'hub.example/tools'),
        image('docker.io', 'alpine'),
      ),
    });
    expect(story.error).toBeNull();
    expect(pulls).toEqual([
      [`${OWN}/team/base:v2`, { username: 'me', password: 'base-password' }],
      ['hub.example/tools:latest', { username: 'you', password: 'hub-password' }],
      ['alpine:latest', null],
    ]);
    expect([...(builds[0]?.credentials ?? [])].map(([host]) => host).sort()).toEqual(
      [OWN, 'hub.example'].sort(),
    );
    expect(story.log[1]).toBe(
      JSON.stringify({
        status_data: {
          registry: OWN,
          base_image: `${OWN}/team/base`,
          base_image_tag: 'v2',
          pull_username: 'me',
        },
      }),
    );
    expect(story.cacheQuestions).toEqual([
      {
        command_comments: '',
        base_image_name: `${OWN}/team/base`,
        base_image_tag: 'v2',
        base_image_id: 'sha256:base',
      },
    ]);
  });

  it('is $token at its own registry when it has a pull token and no other credentials', async () => {
    const { engine, pulls } = notingEngine();
    await build(engine, { source: withBase(image(OWN, `${OWN}/team/base`)) });
    expect(pulls[0]?.[1]).toEqual({ username: '$token', password: someBuild.pull_token });
  });

  it('ignores registry_auth where that extension was not accepted', async () => {
    const { engine, pulls } = notingEngine();
    await build(engine, {
      kwargs: { registry_auth: { 'hub.example': { username: 'you', password: 'hub-password' } } },
      source: withBase(image('hub.example', 'hub.example/tools')),
    });
    expect(pulls[0]?.[1]).toBeNull();
  });

  it.each([
    ['a name could not be read', { uncertain: true }, [], true],
    ['there may be more names than were read', { mayNameMore: true }, [], true],
    ['a base has its heirs copy from an image', {}, ['COPY --from=team/tools:1 /a /a'], true],
    ['an engine does not tell what a base has its heirs do', {}, null, true],
    ['all names were read', {}, ['RUN make'], false],
  ] as const)('lets the engine ask the registries itself where %s', async (_what, source, triggers, asks) => {
    const { engine, builds } = notingEngine();
    await build(
      { ...engine, triggers: () => Promise.resolve(triggers) },
      { source: { ...withBase(image('docker.io', 'alpine')), ...source } },
    );
    expect(builds[0]?.pull).toBe(asks);
  });

  it.each([
    ['denied', 1],
    ['not-found', 1],
    ['failed', 3],
  ] as const)('tries a pull that ends as %s so many times: %i', async (kind, times) => {
    let tries = 0;
    const story = await build(
      {
        pull: () => {
          tries += 1;
          return Promise.reject(new EngineError(kind, 'the words of the registry'));
        },
      },
      { source: withBase(image('docker.io', 'alpine')) },
    );
    expect(tries).toBe(times);
    expect(story).toMatchObject({
      error: 'io.quay.builder.cannotpullbaseimage',
      kwargs: { base_error: 'the words of the registry' },
    });
  });

  it('gives up a registry that hangs', async () => {
    // Five minutes of it come to three seconds, and the manager has as long as ever to answer.
    const clock: Clock = { ...fastClock, after: (ms, then) => fastClock.after(Math.min(ms, 30_000), then) };
    const story = await build(
      {
        pull: (_reference, _credentials, { signal, onMessage }) => {
          void onMessage({ status: 'Pulling fs layer', id: 'layer' });
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          });
        },
      },
      { source: withBase(image('docker.io', 'alpine')), clock },
    );
    expect(story).toMatchObject({
      error: 'io.quay.builder.cannotpullbaseimage',
      kwargs: { base_error: 'The registry moved nothing for 300 s.' },
    });
  });

  it('goes on when the third try of a pull works', async () => {
    let tries = 0;
    const story = await build(
      {
        pull: () =>
          (tries += 1) < 3 ? Promise.reject(new EngineError('failed', 'reset')) : Promise.resolve(),
      },
      { source: withBase(image('docker.io', 'alpine')) },
    );
    expect(story.error).toBeNull();
  });
});

describe('building', () => {
  it.each([
    ['failed', 'builderror'],
    ['refused', 'buildrunerror'],
    ['denied', 'cannotpullbaseimage'],
    ['not-found', 'cannotpullbaseimage'],
    ['dockerfile', 'dockerfileissue'],
    ['unreachable', 'dockerconnecterror'],
  ] as const)('an engine that ends as %s ends the build as %s', async (kind, code) => {
    const story = await build({
      build: () => Promise.reject(new EngineError(kind, `words with ${someBuild.push_token}`)),
    });
    expect(story).toMatchObject({
      error: `io.quay.builder.${code}`,
      kwargs: { base_error: 'words with ***' },
    });
  });

  it('an error of its own is told as one, without its words', async () => {
    const story = await build({ build: () => Promise.reject(new TypeError('x is not a function')) });
    expect(story.error).toBe('io.quay.builder.internalerror');
    expect(JSON.stringify(story.kwargs)).not.toContain('not a function');
  });

  it("keeps repositories' contexts apart, by a key that stays", async () => {
    const keys = new Set<string>();
    const { engine, builds } = notingEngine();
    await build(engine);
    await build(engine, { kwargs: { repository: 'other/app' } });
    for (const { sharedKey } of builds) keys.add(sharedKey);
    expect(keys.size).toBe(2);
    expect([...keys]).not.toContain(createHash('sha256').update(`${OWN}/team/app`).digest('hex'));
  });

  it('masks secrets that the engine prints, also when they are split over two messages', async () => {
    const token = someBuild.push_token;
    const story = await build({
      build: async (_build, { onMessage }) => {
        await onMessage({ stream: `token ${token.slice(0, 7)}` });
        await onMessage({ status: `a layer of ${token}`, id: 'layer' });
        await onMessage({ stream: `${token.slice(7)} and more\n` });
        return { imageId: 'sha256:image' };
      },
    });
    const log = story.log.join('\n');
    expect(log).toContain('*** and more');
    expect(log).toContain('a layer of ***');
    expect(log).not.toContain(token.slice(7));
  });
});

describe('pushing', () => {
  it('pushes each tag once, as $token, and answers with unique digests', async () => {
    const { engine, pushes } = notingEngine();
    const story = await build(engine, { kwargs: { tag_names: ['latest', 'v1', 'latest'] } });
    const token = { username: '$token', password: someBuild.push_token };
    expect(pushes).toEqual([
      [`${OWN}/team/app`, 'latest', token],
      [`${OWN}/team/app`, 'v1', token],
    ]);
    expect(story.kwargs['digests']).toEqual([`${OWN}/team/app@${DIGEST}`]);
  });

  it('is the user of registry_auth where one is given for that host', async () => {
    const { engine, pushes } = notingEngine();
    const robot = { username: 'robot', password: 'robot-password' };
    await build(engine, {
      behaviour: { extensions: ['registry-auth'] },
      kwargs: { registry_auth: { [OWN]: robot }, push_token: '' },
    });
    expect(pushes).toEqual([[`${OWN}/team/app`, 'latest', robot]]);
  });

  it('ends with tagissue when the engine cannot tag', async () => {
    const story = await build({ tag: () => Promise.reject(new EngineError('failed', 'no space')) });
    expect(story).toMatchObject({ error: 'io.quay.builder.tagissue', kwargs: { base_error: 'no space' } });
  });

  it('ends with pushissue when the registry refuses, and leaves no name on the engine', async () => {
    const names = new Set<string>();
    const story = await build(
      {
        build: ({ reference }) => {
          names.add(reference);
          return Promise.resolve({ imageId: 'sha256:image' });
        },
        tag: (_reference, repository, tag) => {
          names.add(`${repository}:${tag}`);
          return Promise.resolve();
        },
        untag: (reference) => {
          names.delete(reference);
          return Promise.resolve();
        },
        push: (_repository, tag) =>
          tag === 'v1'
            ? Promise.reject(new EngineError('denied', 'denied: no'))
            : Promise.resolve({ digest: DIGEST }),
      },
      { kwargs: { tag_names: ['latest', 'v1'] } },
    );
    expect(story).toMatchObject({ error: 'io.quay.builder.pushissue', kwargs: { base_error: 'denied: no' } });
    expect([...names]).toEqual([]);
  });
});
