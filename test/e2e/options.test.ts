import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSchema } from '../../src/contract/api.ts';
import { logOf, quayBuild, startE2e, type E2e } from './support.ts';

/** What a build says of its own to its Dockerfile and image, from the command line to the image in the registry. */

let e2e: E2e;
beforeAll(async () => {
  e2e = await startE2e({ registryAuth: 'open' });
});
afterAll(() => e2e[Symbol.asyncDispose]());

const DOCKERFILE = `ARG TAG=missing
FROM busybox:\${TAG} AS wanted
ARG WORDS
ARG FROM_ENVIRONMENT
RUN echo "<$WORDS> <$FROM_ENVIRONMENT>"
FROM nowhere.invalid/base
RUN exit 1
`;

it.each(['buildkit', 'classic'])(
  'takes build arguments, a target and labels with the %s builder',
  async (builder) => {
    const { farm, engine, directory } = e2e;
    const worker = await farm.startWorker(engine, { BUILDER: builder });
    const folder = join(directory, builder);
    await mkdir(folder);
    await writeFile(join(folder, 'Dockerfile'), DOCKERFILE);
    const { code, stdout } = await quayBuild(
      { ...farm, cliEnv: { ...farm.cliEnv, FROM_ENVIRONMENT: 'inherited' } },
      [
        ...['submit', folder, '--repository', `team/${builder}`, '--json', '--target', 'wanted'],
        ...[
          '--build-arg',
          'TAG=stable',
          '--build-arg',
          'WORDS=two words=2',
          '--build-arg',
          'FROM_ENVIRONMENT',
        ],
        ...['--label', 'team=blue', '--label', 'empty'],
      ],
    );
    expect(code).toBe(0);
    const build = buildSchema.parse(JSON.parse(stdout));
    expect(build).toMatchObject({
      state: 'complete',
      build_args: { TAG: 'stable', WORDS: 'two words=2', FROM_ENVIRONMENT: 'inherited' },
      target: 'wanted',
      labels: { team: 'blue', empty: '' },
    });
    expect(await logOf(farm, build.id)).toContain('<two words=2> <inherited>\n');
    const pushed = `${farm.registry.host}/team/${builder}:latest`;
    await engine.docker(['rmi', '--force', pushed]);
    await engine.docker(['pull', '--quiet', pushed]);
    const labels: unknown = JSON.parse(
      await engine.docker(['inspect', '--format', '{{json .Config.Labels}}', pushed]),
    );
    expect(labels).toMatchObject({ team: 'blue', empty: '' });
    expect(worker.output()).not.toContain('two words');
    await worker.stop();
  },
);
