import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { run } from '../../../lab/process.ts';
import { startRegistry, type LabRegistry } from '../../../lab/registry.ts';
import { parseStepHeading } from '../../../src/contract/log-messages.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall, type RecordedCall } from './support.ts';

const BASE = 'test/base:1';
let lab: LabEngine;
let registry: LabRegistry;

beforeAll(async () => {
  [lab, registry] = await Promise.all([startEngine(), startRegistry()]);
  await importBaseImage(lab, BASE);
});
afterAll(() => Promise.all([lab.stop(), registry.stop()]));

function headings(call: RecordedCall) {
  return call
    .output()
    .split('\n')
    .map(parseStepHeading)
    .filter((heading) => heading !== null);
}

/** Every file below `/context` of an image, as `find` and checksums tell them. */
function listing(reference: string): Promise<string> {
  const script =
    'cd /context && find . ! -type d ! -type l -exec sha256sum {} + | sort; find . -exec stat -c "%N %a %u:%g %h" {} + | sort';
  return lab.docker(['run', '--rm', '--network', 'none', reference, 'sh', '-c', script]);
}

describe.each(['buildkit', 'classic'] as const)('%s', (builder) => {
  const engine = () => createEngine({ dockerHost: lab.dockerHost, builder });

  test('copies a tree as docker build does: modes, links, empty folders, odd names, many files, a big one', async () => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nCOPY . /context\n`,
      'plain.txt': 'plain',
      'big.bin': randomBytes(5 * 1024 * 1024 + 17),
      empty: '',
      'with space and "quotes"': 'a',
      'new\nline': 'b',
      'ünïcödé/日本': 'c',
      'a-b/sorts': 'before a/b in some orders',
      'a/b': 'd',
      'name[with]*?\\': 'e',
      constructor: 'f',
      [`${'long'.repeat(40)}/${'name'.repeat(50)}`]: 'g',
    });
    const at = (name: string): string => join(context.path, name);
    await mkdir(at('hollow/inner'), { recursive: true });
    await writeFile(at('run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    await writeFile(at('locked'), 'x', { mode: 0o600 });
    await chmod(at('locked'), 0);
    await writeFile(at('setuid'), 'x');
    await chmod(at('setuid'), 0o4755);
    await mkdir(at('sticky'));
    await chmod(at('sticky'), 0o1777);
    await symlink('plain.txt', at('link'));
    await symlink('/nowhere/at all', at('dangling'));
    await symlink('a', at('link-to-directory'));
    await link(at('plain.txt'), at('second-name'));
    await mkdir(at('many'));
    for (let number = 0; number < 2000; number += 1) {
      await writeFile(at(`many/${number}`), `content of ${number}`);
    }
    const build = buildOf(context.path);

    const { imageId } = await engine().build(build, recordCall());

    expect((await engine().inspect(build.reference, recordCall().signal))?.imageId).toBe(imageId);
    const env = { DOCKER_BUILDKIT: builder === 'buildkit' ? '1' : '0' };
    await lab.docker(['build', '-q', '-t', `${build.reference}-by-hand`, context.path], { env });
    expect(await listing(build.reference)).toBe(await listing(`${build.reference}-by-hand`));
  });

  test('sends nothing that .dockerignore names, and what an exception brings back', async () => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nCOPY . /context\n`,
      '.dockerignore':
        '# a comment\nsecret*\n**/*.key\nnode_modules\n!node_modules/kept/this\na+b\nconstructor\n/rooted/\nDockerfile\n.dockerignore\n',
      'secret.txt': 's',
      'deep/down/private.key': 's',
      'new\nline.key': 's',
      'node_modules/left/out': 's',
      'node_modules/kept/this': 'wanted',
      'node_modules/kept/that': 's',
      'a+b': 's',
      aab: 'wanted',
      constructor: 's',
      'rooted/file': 's',
      'below/rooted/file': 'wanted',
    });
    const build = buildOf(context.path);

    await engine().build(build, recordCall());

    const files = await lab.docker([
      ...['run', '--rm', '--network', 'none', build.reference],
      ...['sh', '-c', 'cd /context && find . -type f | sort'],
    ]);
    expect(files.trim().split('\n')).toEqual(['./aab', './below/rooted/file', './node_modules/kept/this']);
  });

  test('takes a Dockerfile below the context, and one outside of it that COPY does not see', async () => {
    await using context = await makeContext({
      'app/file': 'wanted',
      'app/docker/Dockerfile.prod': `FROM ${BASE}\nCOPY . /context\nRUN cd /context && find . -type f | sort\n`,
      'beside/Dockerfile': `FROM ${BASE}\nCOPY . /context\nRUN cd /context && find . -type f | sort\n`,
    });
    const app = join(context.path, 'app');

    const below = recordCall();
    await engine().build(buildOf(app, { dockerfile: join(app, 'docker/Dockerfile.prod') }), below);
    expect(below.output()).toContain('./docker/Dockerfile.prod\n./file\n');

    await rm(join(app, 'docker'), { recursive: true });
    const outside = recordCall();
    await engine().build(buildOf(app, { dockerfile: join(context.path, 'beside/Dockerfile') }), outside);
    expect(outside.output()).toMatch(/\n\.\/file\n/);
    expect(outside.output()).not.toContain('ockerfile.');
    expect(outside.output()).not.toContain('./.dockerfile');
  });

  test('counts the steps of all stages, and says what came from the cache', async () => {
    await using context = await makeContext({
      Dockerfile: [
        `FROM ${BASE} AS compile`,
        'COPY source /source',
        'RUN echo "compiled ✓ $(cat /source)" > /result; cat /result',
        `FROM ${BASE}`,
        'COPY --from=compile /result /result',
        'RUN printf "no newline"',
        'RUN cat /result',
      ].join('\n'),
      source: 'grün\n',
    });
    const build = buildOf(context.path);

    const first = recordCall();
    await engine().build(build, first);

    const steps = headings(first);
    expect(steps.map(({ ordinal }) => ordinal)).toEqual(steps.map((_, index) => index + 1));
    expect(new Set(steps.map(({ total }) => total)).size).toBe(1);
    expect(steps.length).toBeLessThanOrEqual(steps[0]?.total ?? 0);
    expect(steps.at(-1)?.instruction).toBe('RUN cat /result');
    expect(first.output()).toContain('compiled ✓ grün\n');

    const second = recordCall();
    await engine().build(build, second);
    expect(headings(second)).toEqual(expect.arrayContaining(steps.slice(-2)));
    expect(second.output()).toContain(' ---> Using cache\n');
    expect(second.output()).not.toContain('compiled ✓ grün');
  });

  test.each([
    { what: 'a step that fails', text: `FROM ${BASE}\nRUN echo last words; exit 7\n`, kind: 'failed' },
    { what: 'a file that is not there', text: `FROM ${BASE}\nCOPY absent /\n`, kind: 'failed' },
    { what: 'an unknown instruction', text: `FROM ${BASE}\nFETCH it\n`, kind: 'dockerfile' },
    { what: 'an empty Dockerfile', text: '', kind: 'dockerfile' },
    { what: 'a Dockerfile without FROM', text: 'RUN true\n', kind: 'dockerfile' },
  ])('tells of $what', async ({ text, kind }) => {
    await using context = await makeContext({ Dockerfile: text });
    await expect(engine().build(buildOf(context.path), recordCall())).rejects.toMatchObject({
      name: 'EngineError',
      kind,
    });
  });

  test('names the step that failed, its exit code, and shows what it printed', async () => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nRUN true\nRUN echo last words; exit 7\n`,
    });
    const call = recordCall();
    await expect(engine().build(buildOf(context.path), call)).rejects.toThrow(
      /^Step 3\/3 : RUN echo last words; exit 7: .*code: 7$/,
    );
    expect(call.output()).toContain('last words\n');
    expect(await lab.docker(['ps', '-aq'])).toBe('');
  });

  test('tells of a Dockerfile that is missing, without a path of any machine', async () => {
    await using context = await makeContext({ file: 'x' });
    const failure = engine().build(buildOf(context.path), recordCall());
    await expect(failure).rejects.toMatchObject({ kind: 'dockerfile' });
    await expect(failure).rejects.not.toThrow(/\/(?:tmp|buildkit)/);
  });

  test('tells of a base image that its registry does not have', async () => {
    await using context = await makeContext({ Dockerfile: `FROM ${registry.host}/no/such:1\nRUN true\n` });
    await expect(engine().build(buildOf(context.path), recordCall())).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining(`${registry.host}/no/such:1`) as string,
    });
  });

  test('refuses a context with a device in it, and one that is not there', async () => {
    await using context = await makeContext({ Dockerfile: `FROM ${BASE}\nCOPY . /\n` });
    await run('mknod', [join(context.path, 'null'), 'c', '1', '3']);
    await expect(engine().build(buildOf(context.path), recordCall())).rejects.toThrow('null is a device');
    await expect(
      engine().build(
        buildOf(join(context.path, 'absent'), { dockerfile: join(context.path, 'Dockerfile') }),
        recordCall(),
      ),
    ).rejects.toThrow(/ENOENT|not found/);
  });

  test('says what it is', async () => {
    await expect(engine().describe(recordCall().signal)).resolves.toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+/) as string,
      builder,
    });
  });
});

test('auto takes BuildKit where the engine has it', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'auto' });
  expect(await engine.describe(recordCall().signal)).toMatchObject({ builder: 'buildkit' });
});

test('a name that is not UTF-8 is copied by BuildKit, and refused by the classic builder', async () => {
  await using context = await makeContext({ Dockerfile: `FROM ${BASE}\nCOPY . /context\n` });
  await writeFile(Buffer.concat([Buffer.from(`${context.path}/odd-`), Buffer.from([0xff, 0xfe])]), 'x');
  const build = buildOf(context.path);
  await createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' }).build(build, recordCall());
  expect(await listing(build.reference)).toContain('odd-');
  await expect(
    createEngine({ dockerHost: lab.dockerHost, builder: 'classic' }).build(build, recordCall()),
  ).rejects.toThrow(/is not UTF-8/);
});
