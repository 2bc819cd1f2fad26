import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEngine, type LabEngine } from '../../../lab/engine.ts';
import { createEngine } from '../../../src/worker/engine/index.ts';
import { imageKey } from '../../../src/worker/source/dockerfile/image-name.ts';
import { readDockerfile } from '../../../src/worker/source/dockerfile/read-dockerfile.ts';
import { buildOf, makeContext, recordCall } from '../engine/support.ts';
import { makeSmallImage, startAskedRegistry, type AskedRegistry } from './asked-registry.ts';
import { DIGEST, HOSTS, traits, type DockerfileShape } from './dockerfile-shapes.ts';
import { wholes } from './whole-dockerfiles.ts';

/** What is read of Dockerfiles, against what a real engine asks registries for when it builds them. */

let lab: LabEngine;
/** What stands for Docker's hub, and for every other host. */
let hub: AskedRegistry;
let elsewhere: AskedRegistry;

beforeAll(async () => {
  [hub, elsewhere] = await Promise.all([startAskedRegistry(), startAskedRegistry()]);
  lab = await startEngine({ mirror: hub.host });
});
afterAll(async () => {
  await lab.stop();
  await hub[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
});

interface Told {
  /** The keys of what the engine asked for. */
  readonly asked: readonly string[];
  /** And of what was read, of which BuildKit needs the `needed`. */
  readonly read: readonly string[];
  readonly needed: readonly string[];
}

/** Builds a shape, and tells what came of it. */
async function tell(builder: 'buildkit' | 'classic', shape: DockerfileShape): Promise<Told> {
  const image = await makeSmallImage(randomUUID());
  for (const registry of [hub, elsewhere]) registry.begin(image);
  const { buildArgs = {}, target = '', unneeded = [] } = shape;
  // Docker's own frontend is built in.
  const text = HOSTS.reduce((each, host) => each.replaceAll(host, elsewhere.host), shape.text)
    .replaceAll(DIGEST, image.digest)
    .replace(/^# syntax=docker\/dockerfile.*\n/, '');
  const { images } = readDockerfile(text, 'Dockerfile', { buildArgs, target });

  await using context = await makeContext({ Dockerfile: text });
  const build = buildOf(context.path, { pull: true, buildArgs, target });
  const engine = createEngine({ dockerHost: lab.dockerHost, builder, frontends: 'any' });
  // No step can work on an image without a shell; what the build takes from registries is known by then.
  await engine.build(build, recordCall()).catch(() => undefined);
  return {
    asked: [
      ...[...hub.asked()].map((name) => `docker.io/${name}`),
      ...[...elsewhere.asked()].map((name) => `${elsewhere.host}/${name}`),
    ].toSorted(),
    read: images.map(imageKey),
    needed: images
      .filter((_image, index) => !unneeded.includes(shape.images[index] ?? ''))
      .map(imageKey)
      .toSorted(),
  };
}

const known = [...traits, ...wholes].filter(({ newer }) => newer !== true);
const certain = known.filter(({ uncertain }) => uncertain !== true);

describe('BuildKit', () => {
  test.each(certain)('asks for what is read: $what', async (shape) => {
    const { asked, needed } = await tell('buildkit', shape);
    expect(asked).toEqual(needed);
  });

  test.each(known.filter((shape) => !certain.includes(shape)))(
    'asks for what is read, and maybe for more: $what',
    async (shape) => {
      const { asked, needed } = await tell('buildkit', shape);
      expect(asked).toEqual(expect.arrayContaining([...needed]));
    },
  );
});

test.each(traits.filter((shape) => certain.includes(shape)))(
  'the classic builder asks for nothing that is not read: $what',
  async (shape) => {
    const { asked, read } = await tell('classic', shape);
    expect(read).toEqual(expect.arrayContaining([...asked]));
  },
);
