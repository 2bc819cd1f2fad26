/** The phases of a build (worker contract 0.3, "A build, as phases") and the states that the manager keeps. */

/** What a worker walks through, in this order; `priming-cache` only when a cache tag was named. */
export const workerPhases = [
  'unpacking',
  'pulling',
  'checking-cache',
  'priming-cache',
  'building',
  'pushing',
] as const;
export type WorkerPhase = (typeof workerPhases)[number];

/**
 * Where a build stands, as the manager keeps it.
 *
 *            ┌──────────── the try was lost, or failed internally, and tries remain ───────────┐
 *            ▼                                                                                 │
 *   submit ─▶ waiting ──▶ starting (a hosted worker is on its way) ──▶ running ────────────────┤
 *               │             │                                          │                     │
 *               └─────────────┴── cancel ──▶ cancelled ◀── cancel ───────┤                     │
 *                                                                        ├─▶ complete          │
 *                                            error (the user's fault) ◀──┤                     │
 *                                   internalerror (no try remains) ◀─────┴─────────────────────┘
 */
export const buildStates = [
  'waiting',
  'starting',
  'running',
  'complete',
  'error',
  'internalerror',
  'cancelled',
] as const;
export type BuildState = (typeof buildStates)[number];

const finalStates = ['complete', 'error', 'internalerror', 'cancelled'] as const;
export type FinalState = (typeof finalStates)[number];

/** Whether a build in this state has ended for good. */
export function isFinal(state: BuildState): state is FinalState {
  return (finalStates as readonly BuildState[]).includes(state);
}

/** Whether a worker may announce this phase. */
export function isWorkerPhase(phase: string): phase is WorkerPhase {
  return (workerPhases as readonly string[]).includes(phase);
}
