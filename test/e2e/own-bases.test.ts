import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Build } from '../../src/contract/api.ts';
import { ended, logOf, quayBuild, startE2e, submit, type E2e } from './support.ts';

/** Private bases in the registry whose token server the manager is, of builds that push to another registry. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e();
});
afterAll(() => e2e[Symbol.asyncDispose]());

it('are had by builds whose namespace may pull them, wherever they push, and by no others on the same engine; what such a build is pushed as further is of its namespace', async () => {
  const { farm, engine, bases } = e2e;
  const worker = await farm.startWorker(engine, { PUSH_TO: farm.registry.host });
  const base = `${farm.registry.host}/private/base:latest`;
  const build = async (
    repository: string,
    registry: string,
    dockerfile: string,
    further: readonly string[] = [],
  ): Promise<Build> => {
    const push_to = further.map((name) => `${farm.registry.host}/${name}:latest`);
    const request = { repository, registry, tag_names: ['latest'], push_to };
    const { id } = await submit(farm, request, new TextEncoder().encode(dockerfile));
    return ended(farm, id);
  };
  const onBase = (repository: string): Promise<Build> =>
    build(repository, bases.host, `FROM ${base}\nRUN echo ${repository} > /name\n`);

  const made = await build(
    'private/base',
    farm.registry.host,
    'FROM busybox:stable\nRUN echo base > /base\n',
  );
  expect(made, await logOf(farm, made.id)).toMatchObject({ state: 'complete' });
  const neighbour = await onBase('private/app');
  expect(neighbour, await logOf(farm, neighbour.id)).toMatchObject({ state: 'complete' });

  const stranger = await onBase('team/app');
  expect(stranger, await logOf(farm, stranger.id)).toMatchObject({
    state: 'error',
    error: { code: 'cannotpullbaseimage' },
  });
  const readable = await quayBuild(farm, ['readable', 'set', '--namespace', 'team', 'private/base']);
  expect(readable.code, readable.stderr).toBe(0);
  const friend = await onBase('team/app');
  expect(friend, await logOf(farm, friend.id)).toMatchObject({ state: 'complete' });

  const onCopy = `FROM ${farm.registry.host}/private/copy:latest\nRUN echo on a copy > /name\n`;
  for (const [repository, dockerfile, further, ends] of [
    ['private/app', `FROM ${base}\nRUN echo copied > /name\n`, 'private/copy', { state: 'complete' }],
    ['private/next', onCopy, 'private/copy', { state: 'complete' }],
    ['team/app', `FROM ${base}\nRUN echo copied > /name\n`, 'private/copy', { error: { code: 'pushissue' } }],
  ] as const) {
    const copied = await build(repository, bases.host, dockerfile, [further]);
    expect(copied, await logOf(farm, copied.id)).toMatchObject(ends);
  }
  await worker.stop();
});
