import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import type { LabEngine } from '../../../lab/engine.ts';
import type { LabRegistry } from '../../../lab/registry.ts';
import { systemClock } from '../../../src/worker/clock.ts';
import { createDisk, type Disk } from '../../../src/worker/disk/disk.ts';
import type { DiskBudget } from '../../../src/worker/disk/budget.ts';
import type { Engine } from '../../../src/worker/engine/engine.ts';
import { createEngine, createEngineStorage } from '../../../src/worker/engine/index.ts';
import { someBuild } from '../harness.ts';
import { buildOf, makeContext, recordCall } from '../engine/support.ts';

/** How much of its own each image of these tests has: what an image is beside it does not matter. */
export const IMAGE_BYTES = 4_000_000;

export interface KeptDisk {
  readonly disk: Disk;
  /** What its log says. */
  log(): string;
}

/** The disk of a worker whose own folder this is. */
export function openDisk(
  lab: LabEngine,
  directory: string,
  budget: DiskBudget,
  options: { readonly engineIsOurs?: boolean; readonly engine?: Engine } = {},
): KeptDisk {
  let said = '';
  const logger: Logger = pino({}, { write: (line: string) => void (said += line) });
  const disk = createDisk({
    engine: options.engine ?? engineOf(lab),
    storage: createEngineStorage({ dockerHost: lab.dockerHost }),
    dockerHost: lab.dockerHost,
    directory,
    budget,
    engineIsOurs: options.engineIsOurs ?? false,
    clock: systemClock,
    logger,
  });
  return { disk, log: () => said };
}

export function engineOf(lab: LabEngine, builder: 'buildkit' | 'classic' = 'buildkit'): Engine {
  return createEngine({ dockerHost: lab.dockerHost, builder });
}

/** Builds an image from `base`, with bytes of its own, under this name. */
export async function buildImage(engine: Engine, base: string, name: string): Promise<void> {
  await using context = await makeContext({
    Dockerfile: `FROM ${base}\nCOPY bytes /bytes\n`,
    bytes: randomBytes(IMAGE_BYTES),
  });
  const build = buildOf(context.path, { dockerfile: join(context.path, 'Dockerfile') });
  await engine.build(build, recordCall());
  const [, repository = '', tag = ''] = /^(.*):([^:]*)$/.exec(name) ?? [];
  await engine.tag(build.reference, repository, tag, recordCall().signal);
  await engine.untag(build.reference);
}

/** The arguments of a build of this package, for a registry that asks nobody who they are. */
export function argumentsOf(registry: LabRegistry, packageUrl: string): Record<string, unknown> {
  return {
    ...someBuild,
    registry: registry.host,
    build_package: packageUrl,
    push_token: '',
    pull_token: '',
  };
}

/** The names of the images on the engine, in order; `<none>` for one without. */
export async function namesOn(lab: LabEngine): Promise<string[]> {
  const listed = await lab.docker(['images', '--format', '{{.Repository}}:{{.Tag}}']);
  return listed
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}
