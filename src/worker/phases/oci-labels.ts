import type { BuildArguments } from '../../contract/build-arguments.ts';
import type { FetchedSource } from '../source/source.ts';
import { imageKey } from '../source/dockerfile/image-name.ts';
import { parseRemote } from '../../contract/git/remote.ts';

const PREFIX = 'org.opencontainers.image.';
const SCRATCH = 'scratch';

/**
 * Where an image comes from, as labels (OCI image specification, "Pre-Defined Annotation Keys"). They are of its configuration, so
 * that they change no layer and keep nothing from the cache. What the Dockerfile says of itself is left to it. `created` in
 * milliseconds since 1970.
 */
export function ociLabels(
  { git }: Pick<BuildArguments, 'git'>,
  { base, uncertain }: Pick<FetchedSource, 'base' | 'uncertain'>,
  dockerfileText: string,
  created: number,
): Record<string, string> {
  const labels = {
    created: new Date(created).toISOString(),
    ...(git && git.url !== '' ? { source: parseRemote(git.url).url, revision: git.sha } : {}),
    ...(uncertain || base.reference === SCRATCH ? {} : { 'base.name': imageKey(base) }),
  };
  const named = Object.entries(labels).map(([name, value]): [string, string] => [PREFIX + name, value]);
  return Object.fromEntries(named.filter(([name]) => !dockerfileText.includes(name)));
}
