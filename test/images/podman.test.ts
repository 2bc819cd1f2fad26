import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LabEngine } from '../../lab/engine.ts';
import { startPodman } from '../../lab/podman.ts';
import { run } from '../../lab/process.ts';
import { importStandIns } from '../../lab/stand-ins.ts';

/** Who has Podman alone makes the images with it. */

const ROOT = resolve(import.meta.dirname, '../..');

let podman: LabEngine;
beforeAll(async () => {
  podman = await startPodman();
  await importStandIns(podman, ['docker.io/library/alpine:3.22', 'docker.io/library/node:24-alpine3.22']);
});
afterAll(() => podman.stop());

it('make builds an image with podman, its health check included', async () => {
  const engine = `ENGINE=podman --url ${podman.dockerHost}`;
  await run(
    'make',
    ['--old-file', 'dist/.built', 'build-alpine-image', 'IMAGE=registry.example/worker', engine],
    {
      cwd: ROOT,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/nowhere' },
    },
  );
  // Its API for Docker's clients has no word of health checks.
  const image = 'registry.example/worker:latest-alpine';
  const said = await run('podman', ['--url', podman.dockerHost, 'image', 'inspect', image]);
  expect(JSON.parse(said)).toMatchObject([
    {
      Config: { Entrypoint: ['/sbin/tini', '-s', '--', 'quay-builder'] },
      Healthcheck: { Test: ['CMD', 'quay-builder', 'health'] },
    },
  ]);
});
