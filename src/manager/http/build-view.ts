import type { Build, Try } from '../../contract/api.ts';
import { isWorkerPhase, type WorkerPhase } from '../../contract/phases.ts';
import type { BuildWithTries, TryRow } from '../../store/index.ts';
import { imageOutputsSchema, imageSpecSchema } from '../submission/image-build.ts';

/** How rows of the store look to users of the API. */

/** A build as the API shows it, but for why it waits. `now` in milliseconds since 1970. */
export function viewBuild(row: BuildWithTries, now: number): Omit<Build, 'waiting'> {
  const spec = imageSpecSchema.parse(row.spec);
  const outputs = row.outputs === null ? null : imageOutputsSchema.parse(row.outputs);
  return {
    id: row.id,
    kind: 'image',
    state: row.state,
    phase: viewPhase(row.phase),
    repository: row.repository,
    registry: row.registry,
    tag_names: [...row.tagNames],
    source: spec.source,
    context: spec.context,
    dockerfile_path: spec.dockerfile_path,
    build_args: spec.build_args,
    target: spec.target,
    labels: spec.labels,
    oci_labels: spec.oci_labels,
    platform: spec.platform,
    cache_from: spec.cache_from,
    cache_to: spec.cache_to,
    push_to: spec.push_to,
    limits: spec.limits,
    timeout: spec.timeout,
    silence_timeout: spec.silence_timeout,
    network: spec.network,
    worker_labels: [...row.workerLabels],
    priority: row.priority,
    not_before: comingTime(row, now)?.toISOString() ?? null,
    exclusive: row.exclusive,
    dedupe_key: row.dedupeKey,
    progress: row.progress,
    error: row.error,
    image_id: outputs?.image_id ?? null,
    digests: outputs?.digests ?? {},
    submitted_by: row.submittedBy,
    created_at: row.createdAt.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    ended_at: row.endedAt?.toISOString() ?? null,
    tries: row.tries.map(viewTry),
    max_tries: row.maxTries,
    tries_used: row.triesCounted,
  };
}

/** The time before which a build does not start; null once it has come. `now` in milliseconds since 1970. */
export function comingTime({ notBefore }: BuildWithTries, now: number): Date | null {
  return notBefore !== null && notBefore.getTime() > now ? notBefore : null;
}

function viewTry(row: TryRow): Try {
  return {
    number: row.number,
    worker: row.worker === null ? null : `${row.worker}/${row.slot ?? 0}`,
    started_at: row.startedAt.toISOString(),
    ended_at: row.endedAt?.toISOString() ?? null,
    deadline: row.deadline?.toISOString() ?? null,
    phase: viewPhase(row.phase),
    outcome: row.outcome,
    counted: row.counted,
    error: row.error,
  };
}

/** A phase that this program knows. */
export function viewPhase(phase: string | null): WorkerPhase | null {
  return phase !== null && isWorkerPhase(phase) ? phase : null;
}
