import { describe, expect, test } from 'vitest';
import {
  buildArgumentsSchema,
  buildResultSchema,
  withoutExtensions,
} from '../../src/contract/build-arguments.ts';

/** What a manager of contract 0.3 always says. */
const least = { repository: 'team/app', registry: 'registry.test', tag_names: ['latest'] };

describe('the arguments of a build', () => {
  test.each([
    ['left out', least],
    [
      'null, as a manager written in Python has it',
      {
        ...least,
        build_package: null,
        context: null,
        dockerfile_path: null,
        pull_token: null,
        push_token: null,
        git: null,
        base_image: null,
      },
    ],
    ['empty', { ...least, build_package: '', context: '', dockerfile_path: '', base_image: {} }],
  ])('may be %s', (_how, kwargs) => {
    expect(buildArgumentsSchema.parse(kwargs)).toMatchObject({
      build_package: '',
      context: '',
      dockerfile_path: '',
    });
  });

  test.each([
    [{}, { url: '', sha: '', private_key: '' }],
    [
      { url: 'https://git.test/a.git', sha: '1f', private_key: null, ref: 'main' },
      { url: 'https://git.test/a.git', sha: '1f', private_key: '' },
    ],
  ])('name a commit: %j', (git, read) => {
    expect(buildArgumentsSchema.parse({ ...least, git }).git).toEqual(read);
  });

  test('say which commit of a repository', () => {
    const { error } = buildArgumentsSchema.safeParse({ ...least, git: { url: 'https://git.test/a.git' } });
    expect(error?.issues).toMatchObject([{ path: ['git', 'sha'], message: 'must be a commit' }]);
  });

  test('that were not agreed on are unknown names, whatever they hold', () => {
    const kwargs = { ...least, timeout: null, labels: ['fast'], platform: 7, cached_tag: 'x' };
    expect(withoutExtensions(kwargs, new Set())).toEqual({ ...least, cached_tag: 'x' });
    expect(withoutExtensions(kwargs, new Set(['platform']))).toEqual({
      ...least,
      platform: 7,
      cached_tag: 'x',
    });
    expect(withoutExtensions(undefined, new Set())).toBeUndefined();
  });
});

test('the result of a build may lack digests, in any way to lack them', () => {
  for (const result of [{}, { image_id: null, digests: null }, { image_id: '', digests: [] }]) {
    expect(buildResultSchema.parse(result)).toEqual({ image_id: '', digests: [] });
  }
});
