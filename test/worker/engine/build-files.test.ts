import { randomUUID } from 'node:crypto';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBaseImage } from '../../../lab/base-image.ts';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { startPodman } from '../../../lab/podman.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { locateContext } from '../../../src/worker/source/context.ts';
import { defaultSourceLimits } from '../../../src/worker/source/limits.ts';
import { buildOf, makeContext, recordCall } from './support.ts';

/** Which Dockerfile and which ignore file a build goes by, from the package's root to what COPY finds. */

const BASE = 'test/base:1';
let docker: LabEngine;
let podman: LabEngine;

beforeAll(async () => {
  [docker, podman] = await Promise.all([startEngine(), startPodman()]);
  await Promise.all([importBaseImage(docker, BASE), importBaseImage(podman, BASE)]);
});
afterAll(() => Promise.all([docker.stop(), podman.stop()]));

function dockerfile(name: string): string {
  return `FROM ${BASE}\nARG CASE\nCOPY . /context\nRUN echo built by ${name}; cd /context && find . ! -type d | sort; echo end\n`;
}

const files = {
  Dockerfile: dockerfile('root'),
  '.dockerignore': '**\n!app\n!kept\n',
  'Dockerfile.prod': dockerfile('prod'),
  'Dockerfile.prod.dockerignore': '**/*.md\n*ockerfile*\n.dockerignore\nops\nfolder\nlinked\ncurrent\n',
  kept: '',
  'notes.md': '',
  'app/Dockerfile': dockerfile('app'),
  'app/.dockerignore': 'secret\n',
  'app/secret': '',
  'app/main.c': '',
  'app/docker/Dockerfile.nested': dockerfile('nested'),
  'app/docker/Dockerfile.nested.dockerignore': 'main.c\nDockerfile\ndocker\n',
  'ops/Dockerfile': dockerfile('ops'),
  'ops/Dockerfile.strict': dockerfile('strict'),
  'ops/Dockerfile.strict.dockerignore': '**\n!main.c\n',
};

/** What COPY finds of the root, and of `app`, where an ignore file lets it see both whole. */
const ofRoot = [
  './app/.dockerignore',
  './app/Dockerfile',
  './app/docker/Dockerfile.nested',
  './app/docker/Dockerfile.nested.dockerignore',
  './app/main.c',
  './app/secret',
  './kept',
];
const ofApp = [
  './.dockerignore',
  './Dockerfile',
  './docker/Dockerfile.nested',
  './docker/Dockerfile.nested.dockerignore',
  './main.c',
];

/** context, dockerfile_path, whose Dockerfile it is, and what COPY finds. */
const builds: [context: string, path: string, by: string, found: string[]][] = [
  ['', '', 'root', ofRoot],
  ['', 'Dockerfile.prod', 'prod', ofRoot],
  ['app', '', 'app', ofApp],
  ['app', 'docker/Dockerfile.nested', 'nested', ['./.dockerignore', './secret']],
  ['app', '../ops/Dockerfile', 'ops', ofApp],
  ['app', '../ops/Dockerfile.strict', 'strict', ['./main.c']],
  ['linked', '', 'app', ['./x']],
  ['', 'current', 'prod', ofRoot],
  [
    'ops',
    '../folder/Dockerfile',
    'app',
    ['./Dockerfile', './Dockerfile.strict', './Dockerfile.strict.dockerignore'],
  ],
];

/** The classic builders are sent another .dockerignore where the Dockerfile has its own; COPY does not see that one. */
const hidden = ['nested ./.dockerignore'];

test('Podman is not sent a link that leads out of the context: the build says which it is', async () => {
  await using place = await makeContext({ Dockerfile: dockerfile('root'), 'deep/file': '' });
  await symlink('../../outside', join(place.path, 'deep/link'));
  await symlink('/etc/hostname', join(place.path, 'absolute'));
  const engine = createEngine({ dockerHost: podman.dockerHost, builder: 'auto' });
  await expect(engine.build(buildOf(place.path), recordCall())).rejects.toMatchObject({
    kind: 'failed',
    message:
      'The build context cannot be sent: deep/link is a link that leads out of the context, which Podman does not take.',
  });
});

describe.each(['buildkit', 'classic', 'podman'] as const)('%s', (name) => {
  const engine = () =>
    name === 'podman'
      ? createEngine({ dockerHost: podman.dockerHost, builder: 'auto' })
      : createEngine({ dockerHost: docker.dockerHost, builder: name });

  test.each(builds)('context %j, Dockerfile %j', async (context, path, by, found) => {
    await using place = await makeContext({
      ...files,
      'linked/x': '',
      'linked/.dockerignore': 'Dockerfile\n.dockerignore',
    });
    await symlink('../app/Dockerfile', join(place.path, 'linked/Dockerfile'));
    await symlink('Dockerfile.prod', join(place.path, 'current'));
    await symlink('app', join(place.path, 'folder'));
    const located = await locateContext(place.path, { context, dockerfile_path: path }, defaultSourceLimits);
    const call = recordCall();
    await engine().build(
      buildOf(located.contextDirectory, {
        dockerfile: located.dockerfile,
        buildArgs: { CASE: randomUUID() },
      }),
      call,
    );
    const [, built, list = ''] = /\nbuilt by (\w+)\n([^]*?)end\n/.exec(call.output()) ?? [];
    expect(built).toBe(by);
    const expected = found.filter((file) => name === 'buildkit' || !hidden.includes(`${by} ${file}`));
    expect(list.split('\n').filter((line) => line !== '')).toEqual(expected);
  });
});
