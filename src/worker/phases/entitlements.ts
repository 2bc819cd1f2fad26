import { readFile } from 'node:fs/promises';
import { BuildError } from '../../contract/build-errors.ts';
import type { Entitlement } from '../entitlements.ts';
import type { FetchedSource } from '../source/source.ts';
import type { BuildRun } from './build-run.ts';

/** Ends a build with `builderror` that asks for the network of the engine's machine where this worker gives it to none. */
export function demandNetworkAllowed({ build, entitlements }: BuildRun): void {
  if (build.network !== 'host' || entitlements.has('network.host')) return;
  throw new BuildError('builderror', `This build asks for the network host, and ${refusal('network.host')}`);
}

/** Ends a build with `dockerfileissue` whose Dockerfile asks for what this worker gives to none, whether the engine would or not. */
export async function demandEntitlementsAllowed(
  { entitlements }: BuildRun,
  { dockerfile }: FetchedSource,
): Promise<void> {
  // A Dockerfile that cannot be read here cannot be sent either, and the engine says so.
  const text = await readFile(dockerfile, 'utf8').catch(() => '');
  const { entitlementsIn } = await import('../source/dockerfile/entitlements.ts');
  const refused = entitlementsIn(text).find(({ entitlement }) => !entitlements.has(entitlement));
  if (refused === undefined) return;
  const { entitlement, line } = refused;
  throw new BuildError(
    'dockerfileissue',
    `Line ${line} of the Dockerfile asks for ${entitlement}, and ${refusal(entitlement)}`,
  );
}

function refusal(entitlement: Entitlement): string {
  return `this worker lets no build have it. Its operator may (ENTITLEMENTS=${entitlement}).`;
}
