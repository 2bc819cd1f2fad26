import { z } from 'zod';
import { logRecordSchema, type Build, type LogRecord } from '../src/contract/api.ts';
import type { LabRegistry } from '../lab/registry.ts';
import type { Manifest } from './observations.ts';

/** The log of a build, as the API gives it. */
export async function collectLog(url: string, build: string): Promise<readonly LogRecord[]> {
  const answer = await fetch(`${url}/api/v1/builds/${build}/log`, {
    headers: { accept: 'application/x-ndjson' },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the log of ${build} is refused with ${answer.status}: ${text}`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => logRecordSchema.parse(JSON.parse(line)));
}

const manifestSchema = z.object({
  config: z.object({ digest: z.string() }),
  layers: z.array(z.object({ digest: z.string() })),
});

/** What a registry has under the digests of these builds. */
export async function collectManifests(
  registry: LabRegistry,
  builds: readonly Build[],
): Promise<ReadonlyMap<string, Manifest>> {
  const found = new Map<string, Manifest>();
  for (const { repository, digests } of builds) {
    for (const digest of Object.values(digests)) {
      if (digest !== null)
        found.set(digest, await manifestOf(`http://${registry.host}/v2/${repository}`, digest));
    }
  }
  return found;
}

async function manifestOf(url: string, digest: string): Promise<Manifest> {
  const answer = await fetch(`${url}/manifests/${digest}`, {
    headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
  });
  if (!answer.ok) {
    await answer.body?.cancel();
    return { type: 'absent' };
  }
  const { config, layers } = manifestSchema.parse(await answer.json());
  const blobs = [config, ...layers].map((each) => each.digest);
  const isThere = await Promise.all(
    blobs.map(async (blob) => (await fetch(`${url}/blobs/${blob}`, { method: 'HEAD' })).ok),
  );
  return { type: 'found', config: config.digest, missingBlobs: blobs.filter((_, index) => !isThere[index]) };
}
