import { resolve } from 'node:path';
import type { LabEngine } from './engine.ts';
import { importStandIns } from './stand-ins.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** Makes the worker's image of what `make build` left, as `Dockerfile.alpine` says, on stand-ins for its bases. */
export async function makeWorkerImage(engine: LabEngine, reference: string): Promise<void> {
  await importStandIns(engine, ['docker.io/library/alpine:3.22', 'docker.io/library/node:24-alpine3.22']);
  const dockerfile = `${ROOT}/Dockerfile.alpine`;
  await engine.docker(['build', '--quiet', '--file', dockerfile, '--tag', reference, ROOT], {
    env: { DOCKER_BUILDKIT: '1' },
  });
}
