import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall } from './support.ts';

/** What a build says of its own to its Dockerfile and image, with both builders. */

const BASE = 'test/base:1';
let lab: LabEngine;

beforeAll(async () => {
  lab = await startEngine();
  await importBaseImage(lab, BASE);
});
afterAll(() => lab.stop());

async function labelsOf(reference: string): Promise<Record<string, string>> {
  const json = await lab.docker(['inspect', '--format', '{{json .Config.Labels}}', reference]);
  return z.record(z.string(), z.string()).parse(JSON.parse(json));
}

describe.each(['buildkit', 'classic'] as const)('%s', (builder) => {
  const engine = () => createEngine({ dockerHost: lab.dockerHost, builder });

  test('gives ARGs their values, in FROM and in steps, whatever they are', async () => {
    await using context = await makeContext({
      Dockerfile: 'ARG BASE\nFROM ${BASE}\nARG WORDS=none\nARG OTHER=kept\nRUN echo "<$WORDS> <$OTHER>"\n',
    });
    const words = 'two words & "quotes", ünï=côdé';
    const call = recordCall();
    await engine().build(buildOf(context.path, { buildArgs: { BASE, WORDS: words } }), call);
    expect(call.output()).toContain(`<${words}> <kept>\n`);
  });

  test('stops at the target', async () => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE} AS first\nRUN echo in the first\nFROM ${BASE} AS second\nRUN echo in the second\n`,
    });
    const call = recordCall();
    await engine().build(buildOf(context.path, { target: 'first' }), call);
    expect(call.output()).toContain('in the first\n');
    expect(call.output()).not.toContain('in the second');
  });

  test('labels the image, over the Dockerfile', async () => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nLABEL a=dockerfile b=dockerfile\n`,
    });
    const build = buildOf(context.path, { labels: { b: 'given', 'c.d/e': 'a = "b"' } });
    await engine().build(build, recordCall());
    expect(await labelsOf(build.reference)).toEqual({ a: 'dockerfile', b: 'given', 'c.d/e': 'a = "b"' });
  });
});

test('gives a step the secrets that it mounts, whole, and fails a step that mounts another', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  await using context = await makeContext({
    Dockerfile: `FROM ${BASE}\nRUN --mount=type=secret,id=file,target=/s --mount=type=secret,id=word cat /s /run/secrets/word\n`,
  });
  const secrets = new Map([
    ['file', 'line one\nline two – with ünï=côdé\n'],
    ['word', 'last'],
    ['other', 'unused'],
  ]);
  const call = recordCall();
  await engine.build(buildOf(context.path, { secrets }), call);
  expect(call.output()).toContain('line one\nline two – with ünï=côdé\nlast');

  await using needy = await makeContext({
    Dockerfile: `FROM ${BASE}\nRUN --mount=type=secret,id=absent,required true\n`,
  });
  await expect(engine.build(buildOf(needy.path, { secrets }), recordCall())).rejects.toThrow(/absent/);
});

test('a build with secrets is refused where only the classic builder is', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'classic' });
  await using context = await makeContext({ Dockerfile: `FROM ${BASE}\n` });
  const build = buildOf(context.path, { secrets: new Map([['word', 'VALUE-OF-IT']]) });
  await expect(engine.build(build, recordCall())).rejects.toMatchObject({
    kind: 'failed',
    message: expect.stringMatching(/^This build has secrets, which only BuildKit can give/) as string,
  });
});

test('no build argument takes a build to the cache mounts of others', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'buildkit' });
  const sees = async (sharedKey: string): Promise<string> => {
    await using context = await makeContext({
      Dockerfile: `FROM ${BASE}\nARG NOW\nRUN --mount=type=cache,target=/c,id=taken echo "marks: $(ls /c)"; touch /c/mark\n`,
    });
    const call = recordCall();
    const buildArgs = { BUILDKIT_CACHE_MOUNT_NS: 'the same', NOW: sharedKey };
    await engine.build(buildOf(context.path, { sharedKey, buildArgs }), call);
    return /^marks: (.*)$/m.exec(call.output())?.[1] ?? 'nothing printed';
  };
  expect(await sees('key of one')).toBe('');
  expect(await sees('key of another')).toBe('');
});
