import { afterAll, beforeAll, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import {
  demandAllowedFrontend,
  DOCKER_FRONTENDS,
  frontendsIn,
} from '../../../src/worker/engine/buildkit/frontend.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { buildOf, makeContext, recordCall } from './support.ts';

/** A frontend image is a program that the engine runs: only those that the operator allowed. */

const BASE = 'test/base:1';
const FOREIGN = 'team/frontend:1';
let lab: LabEngine;

beforeAll(async () => {
  lab = await startEngine();
  await importBaseImage(lab, BASE);
});
afterAll(() => lab.stop());

test.each<[what: string, text: string, found: string[]]>([
  ['none', 'FROM a\n', []],
  ['the first line', '# syntax=a/b:1\nFROM a\n', ['a/b:1']],
  ['without spaces, in capitals, with CRLF', '#SYNTAX=a/b\r\nFROM a\r\n', ['a/b']],
  ['with what is given to it', '# syntax = a/b -x y\nFROM a\n', ['a/b']],
  ['after another directive', '# escape=`\n# syntax=a/b\nFROM a\n', ['a/b']],
  ['after a directive that holds an odd line end', '# a=x\u2028y\n# syntax=a/b\n', ['a/b']],
  ['after a byte order mark', '\uFEFF# syntax=a/b\n', ['a/b']],
  ['after a shebang', '#!/usr/bin/env x\n# syntax=a/b\n', ['a/b']],
  ['not after an ordinary comment', '# hello\n# syntax=a/b\nFROM a\n', []],
  ['not after a blank line', '\n# syntax=a/b\nFROM a\n', []],
  ['in the comments of another language', '// syntax=a/b\nwhatever', ['a/b']],
  ['in JSON', '{"Syntax": "a/b", "more": 1}', ['a/b']],
  ['not in what only looks like JSON', '{"syntax": ', []],
])('a Dockerfile names a frontend: %s', (_what, text, found) => {
  expect(frontendsIn(text)).toEqual(found);
});

test.each<[image: string, allowed: readonly string[] | 'any', fine: boolean]>([
  ['docker/dockerfile', DOCKER_FRONTENDS, true],
  ['docker/dockerfile:1.7-labs', DOCKER_FRONTENDS, true],
  ['docker.io/docker/dockerfile:1@sha256:00', DOCKER_FRONTENDS, true],
  ['docker/dockerfile-upstream:master', DOCKER_FRONTENDS, true],
  ['docker/dockerfile-evil', DOCKER_FRONTENDS, false],
  ['docker/dockerfile:1/evil', DOCKER_FRONTENDS, false],
  ['evil.example/docker/dockerfile:1', DOCKER_FRONTENDS, false],
  ['corp/frontend:2', ['corp/frontend:2'], true],
  ['corp/frontend:2@sha256:00', ['corp/frontend:2'], true],
  ['corp/frontend:3', ['corp/frontend:2'], false],
  ['corp:5000/frontend', ['corp'], false],
  ['docker/dockerfile', [], false],
  ['evil/evil', 'any', true],
])('the frontend %s, where %j may be run: %s', async (image, allowed, fine) => {
  await using context = await makeContext({ Dockerfile: `# syntax=${image}\nFROM a\n` });
  const asked = demandAllowedFrontend(buildOf(context.path), allowed);
  if (fine) await asked;
  else await expect(asked).rejects.toMatchObject({ kind: 'dockerfile' });
});

test('a frontend that is not allowed is not pulled, and the build says what is', async () => {
  const engine = createEngine({ dockerHost: lab.dockerHost, builder: 'auto' });
  await using context = await makeContext({ Dockerfile: `# syntax=${FOREIGN}\nFROM ${BASE}\n` });
  await expect(engine.build(buildOf(context.path), recordCall())).rejects.toMatchObject({
    kind: 'dockerfile',
    message:
      'The frontend "team/frontend:1" (# syntax=, BUILDKIT_SYNTAX) is not one that this worker runs. ' +
      'It runs: docker/dockerfile, docker/dockerfile-upstream (FRONTENDS).',
  });
  await using plain = await makeContext({ Dockerfile: `FROM ${BASE}\n` });
  const build = buildOf(plain.path, { buildArgs: { BUILDKIT_SYNTAX: FOREIGN } });
  await expect(engine.build(build, recordCall())).rejects.toMatchObject({ kind: 'dockerfile' });
});

test('one that is allowed is asked for at its registry, and the classic builder asks for none', async () => {
  await using context = await makeContext({
    Dockerfile: `# syntax=127.0.0.1:1/frontend\nFROM ${BASE}\nRUN echo built\n`,
  });
  const engine = createEngine({
    dockerHost: lab.dockerHost,
    builder: 'buildkit',
    frontends: ['127.0.0.1:1/frontend'],
  });
  await expect(engine.build(buildOf(context.path), recordCall())).rejects.toThrow(/127\.0\.0\.1:1/);
  const call = recordCall();
  await createEngine({ dockerHost: lab.dockerHost, builder: 'classic' }).build(buildOf(context.path), call);
  expect(call.output()).toContain('built\n');
});
