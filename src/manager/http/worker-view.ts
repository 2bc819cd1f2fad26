import type { z } from 'zod';
import type { WorkerHistory, workerListSchema, workerSchema } from '../../contract/api.ts';
import type { DrainedWorker, ListedWorker, WorkerHistory as StoredHistory } from '../../store/index.ts';
import { viewPhase } from './build-view.ts';

/** How workers look to users of the API. */

/** A slot. */
export function viewWorker(row: ListedWorker): z.output<typeof workerSchema> {
  return {
    id: row.id,
    slot: row.slot,
    slots: row.slots,
    kind: row.kind,
    registered_as: row.registeredAs,
    state: row.state,
    labels: { ...row.labels },
    extensions: [...row.extensions],
    address: row.address,
    manager: row.manager,
    connected_at: row.connectedAt.toISOString(),
    last_seen_at: row.lastSeenAt.toISOString(),
    build_id: row.buildId,
  };
}

/** A mark that a worker gets no builds. */
export function viewDrained(mark: DrainedWorker): z.output<typeof workerListSchema>['drained'][number] {
  return { id: mark.id, drained_by: mark.drainedBy, drained_at: mark.drainedAt.toISOString() };
}

/** All that is known of a worker. */
export function viewWorkerHistory(id: string, history: StoredHistory): WorkerHistory {
  const { slots, drained, running, outcomes, tries } = history;
  return {
    id,
    state: stateOf(history),
    drained: drained && viewDrained(drained),
    slots: slots.map(viewWorker),
    running,
    outcomes: { ...outcomes },
    tries: tries.map((each) => ({
      build_id: each.buildId,
      repository: each.repository,
      tag_names: [...each.tagNames],
      number: each.number,
      slot: each.slot,
      manager: each.manager,
      started_at: each.startedAt.toISOString(),
      ended_at: each.endedAt?.toISOString() ?? null,
      phase: viewPhase(each.phase),
      outcome: each.outcome,
    })),
  };
}

/** What runs is known by its tries: a slot's own row may not say so yet. */
function stateOf({ slots, drained, running }: StoredHistory): WorkerHistory['state'] {
  if (drained) return running > 0 ? 'draining' : 'drained';
  if (running > 0) return 'busy';
  return slots.length > 0 ? 'ready' : 'away';
}
