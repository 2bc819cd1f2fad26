import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  everyOf,
  furtherScopes,
  grantedAccess,
  PACKAGE_SCOPE,
  pullScopes,
  pushScopes,
  userScopes,
} from '../../../src/manager/registry/scopes.ts';

const own = pushScopes('team/app', []);

describe('the credentials of a try', () => {
  it.each([
    ['repository:team/app:pull,push', [['team/app', ['pull', 'push']]]],
    ['repository:team/app:push', [['team/app', ['push']]]],
    ['repository:team/app:*', []],
    ['repository:team/app:delete', []],
    ['repository:team/base:pull,push', [['team/base', ['pull']]]],
    ['repository:other/app:pull', []],
    ['repository:team/deeper/app:pull', []],
    ['repository:teamwork/app:pull', []],
    ['repository:host:5000/team/app:pull', []],
    ['repository(plugin):team/app:pull', []],
    ['registry:catalog:*', []],
    ['repository:team/*:pull', []],
    ['repository:*:pull', []],
    ['', []],
    ['nonsense', []],
  ])('asked for %j give %j', (asked, granted) => {
    expect(grantedAccess([asked], own).map(({ name, actions }) => [name, actions])).toEqual(granted);
  });

  it('reach what the namespace may read beside its own, by pulling alone', () => {
    const asked = ['bases/alpine', 'bases/deeper/app', 'tools/linter', 'tools/other', 'strangers/app'].map(
      (name) => `repository:${name}:pull,push`,
    );
    const granted = grantedAccess(asked, pushScopes('team/app', [everyOf('bases'), 'tools/linter']));
    expect(granted.map(({ name, actions }) => [name, actions])).toEqual([
      ['bases/alpine', ['pull']],
      ['tools/linter', ['pull']],
    ]);
    expect(grantedAccess(asked, pullScopes('team/app', ['*']))).toHaveLength(asked.length);
  });

  it('push further, at another registry, to what they were asked to of their own namespace, and pull the rest', () => {
    const asked = ['team/app', 'team/copy', 'others/copy', 'bases/alpine'].map(
      (name) => `repository:${name}:pull,push`,
    );
    const allowed = furtherScopes('team/app', ['team/copy', 'others/copy'], [everyOf('bases')]);
    expect(grantedAccess(asked, allowed).map(({ name, actions }) => [name, actions])).toEqual([
      ['team/app', ['pull']],
      ['team/copy', ['pull', 'push']],
      ['bases/alpine', ['pull']],
    ]);
  });

  it('are granted for each repository that is asked for, apart by spaces or repeated, as a push that mounts asks', () => {
    const asked = ['repository:team/app:pull repository:team/base:pull', 'repository:team/app:push'];
    expect(grantedAccess(asked, own)).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
      { type: 'repository', name: 'team/base', actions: ['pull'] },
    ]);
  });

  it('never give more than was asked, nor more than is allowed, whatever is asked', () => {
    const action = fc.constantFrom('pull', 'push', 'delete', '*');
    const name = fc.constantFrom('team/app', 'team/base', 'other/app', '*', 'team/*', 'a:1/b');
    const scope = fc
      .tuple(name, fc.array(action, { minLength: 1 }))
      .map(([n, a]) => `repository:${n}:${a.join(',')}`);
    fc.assert(
      fc.property(fc.array(fc.oneof(scope, fc.string())), (asked) => {
        for (const { name: repository, actions } of grantedAccess(asked, own)) {
          expect(['team/app', 'team/base']).toContain(repository);
          if (repository === 'team/base') expect(actions).toEqual(['pull']);
          expect(asked.join(' ')).toContain(repository);
        }
      }),
    );
  });

  it('name a bounded number of repositories', () => {
    const asked = Array.from({ length: 100 }, (_none, index) => `repository:team/app${index}:pull`);
    expect(grantedAccess(asked, own)).toHaveLength(32);
  });
});

describe('other credentials', () => {
  it('pull only, where they are for pulling, and reach no registry, where they are for a package', () => {
    const asked = ['repository:team/app:pull,push'];
    expect(grantedAccess(asked, pullScopes('team/app', []))).toMatchObject([{ actions: ['pull'] }]);
    expect(grantedAccess(asked, [PACKAGE_SCOPE])).toEqual([]);
  });

  it('of people reach every repository', () => {
    const asked = ['repository:any/app:pull,push'];
    expect(grantedAccess(asked, userScopes(['read']))).toMatchObject([{ actions: ['pull'] }]);
    expect(grantedAccess(asked, userScopes(['write']))).toMatchObject([{ actions: ['pull', 'push'] }]);
  });
});
