import { resolve } from 'node:path';
import type { LabEngine } from './engine.ts';
import { run } from './process.ts';
import { importStandIns } from './stand-ins.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** What the images are called where nobody says otherwise. */
export const MANAGER_IMAGE = 'quay.io/quay/quay-build-manager:latest';
export const WORKER_IMAGE = 'quay.io/quay/quay-builder:latest-alpine';

/** Makes the worker's image of what `make build` left, as `Dockerfile.alpine` says, on stand-ins for its bases. */
export async function makeWorkerImage(engine: LabEngine, reference: string): Promise<void> {
  await importStandIns(engine, ['docker.io/library/alpine:3.22', 'docker.io/library/node:24-alpine3.22']);
  const dockerfile = `${ROOT}/Dockerfile.alpine`;
  await engine.docker(['build', '--quiet', '--file', dockerfile, '--tag', reference, ROOT], {
    env: { DOCKER_BUILDKIT: '1' },
  });
}

/** Makes the manager's image on an engine, by `make` and of what `make build` left, on stand-ins for its bases. */
export async function makeManagerImage(engine: LabEngine): Promise<void> {
  await importStandIns(engine, [
    'docker.io/library/debian:bookworm-slim',
    'docker.io/library/node:24-bookworm-slim',
  ]);
  await run(
    'make',
    // What is in dist/ is run by others meanwhile.
    ['--directory', ROOT, '--assume-old=build', 'ENGINE=/usr/bin/docker', 'build-manager-image'],
    { env: { PATH: process.env['PATH'], DOCKER_HOST: engine.dockerHost, DOCKER_BUILDKIT: '1' } },
  );
}
