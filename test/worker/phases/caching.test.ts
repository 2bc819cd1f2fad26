import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../src/worker/engine/engine.ts';
import { DIGEST, someBuild } from '../harness.ts';
import type { Behaviour } from '../test-manager.ts';
import { build, notingEngine, OWN } from './one-build.ts';

describe('images that a build names as cache', () => {
  const kwargs = {
    cache_from: ['other.example/team/app:cache', 'other.example/private/app:cache', `${OWN}/team/app:old`],
    cache_to: ['cache', 'latest', 'refused'],
    registry_auth: { 'other.example': { username: 'me', password: 'other-password' } },
  };
  const extensions = ['cache', 'registry-auth'] as const;

  it('are pulled as who the build is at each host, told when they cannot be, and those that were there serve', async () => {
    const { engine, pulls, builds } = notingEngine();
    const story = await build(
      {
        ...engine,
        pull: (reference, credentials) => {
          pulls.push([reference, credentials]);
          return reference.includes('private')
            ? Promise.reject(new EngineError('denied', 'denied: not yours'))
            : Promise.resolve();
        },
      },
      { kwargs: { ...kwargs, cache_to: [] }, behaviour: { extensions } },
    );
    expect(story.error).toBeNull();
    const other = { username: 'me', password: 'other-password' };
    expect(pulls).toEqual([
      ['other.example/team/app:cache', other],
      ['other.example/private/app:cache', other],
      [`${OWN}/team/app:old`, { username: '$token', password: someBuild.pull_token }],
    ]);
    expect(builds[0]?.cacheFrom).toEqual(['other.example/team/app:cache', `${OWN}/team/app:old`]);
    expect(story.log.join('')).toContain('other.example/private/app:cache cannot be pulled');
  });

  it('are pushed as further tags, of which none fails the build or stays on the engine', async () => {
    const { engine, pushes } = notingEngine();
    const untagged: string[] = [];
    const story = await build(
      {
        ...engine,
        push: (repository, tag) => {
          pushes.push([repository, tag]);
          return tag === 'refused'
            ? Promise.reject(new EngineError('denied', 'denied: not this one'))
            : Promise.resolve({ digest: DIGEST });
        },
        untag: (reference) => {
          untagged.push(reference);
          return Promise.resolve();
        },
      },
      { kwargs: { ...kwargs, cache_from: [] }, behaviour: { extensions: [...extensions, 'digests-by-tag'] } },
    );
    const name = `${OWN}/team/app`;
    expect(pushes).toEqual(['latest', 'cache', 'refused'].map((tag) => [name, tag]));
    expect(story.kwargs).toMatchObject({ digests_by_tag: { latest: DIGEST } });
    expect(untagged.slice(0, 2)).toEqual([`${name}:cache`, `${name}:refused`]);
    expect(story.log.join('')).toContain('refused cannot be pushed as cache: denied: not this one');
  });
});

describe('the cache', () => {
  const cached: Behaviour = {
    onCall: (uri) => (uri.endsWith('determinecachetag') ? 'v1' : undefined),
  };

  it('is the tag that the manager names, pulled as $token', async () => {
    const { engine, pulls, builds } = notingEngine();
    await build(engine, { behaviour: cached });
    expect(pulls).toEqual([[`${OWN}/team/app:v1`, { username: '$token', password: someBuild.pull_token }]]);
    expect(builds[0]?.cacheFrom).toEqual([`${OWN}/team/app:v1`]);
  });

  it('is skipped when it cannot be pulled', async () => {
    const { engine, builds } = notingEngine();
    const story = await build(
      { ...engine, pull: () => Promise.reject(new EngineError('not-found', 'no such tag')) },
      { behaviour: cached },
    );
    expect(story.error).toBeNull();
    expect(builds[0]?.cacheFrom).toEqual([]);
  });

  it.each([
    ['an error', undefined],
    ['what is no tag', '../latest'],
    ['a number', 7],
  ])('is skipped when the question is answered with %s', async (_what, tag) => {
    const { engine, builds, pulls } = notingEngine();
    const story = await build(engine, {
      behaviour: { onCall: (uri) => (uri.endsWith('determinecachetag') ? (tag ?? null) : undefined) },
    });
    expect(story.error).toBeNull();
    expect([pulls, builds[0]?.cacheFrom]).toEqual([[], []]);
  });
});
