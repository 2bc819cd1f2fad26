import { buildErrorCode, mayTryAgain } from '../../contract/build-errors.ts';
import {
  buildArgumentsSchema,
  buildResultSchema,
  type BuildArgumentsMessage,
} from '../../contract/build-arguments.ts';
import { createMasker, secretsOf, type Masker } from '../../contract/masking.ts';
import type { BuildFailure } from '../../contract/api.ts';
import { isDigest } from '../../contract/references.ts';
import { isWorkerPhase } from '../../contract/phases.ts';
import type {
  BuildRow,
  Claim,
  GiveBack,
  Lease,
  LeaseStore,
  LogStore,
  ResumedTry,
  TryResult,
} from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { BASE_ERROR_MAX_CHARACTERS } from '../limits.ts';
import { createTryLog, type LogPosition, type TryLog } from '../logs/try-log.ts';
import { persist } from '../persist.ts';
import type { BuildAnswer, Slot, SlotListener } from '../realms/slot.ts';
import { retryDelaySeconds } from './backoff.ts';
import { ExtensionsMissing } from './extensions-missing.ts';

export interface AttemptDependencies {
  readonly leases: LeaseStore;
  readonly logs: LogStore;
  /** How much is stored of the log of a try, in bytes. */
  readonly logMaxBytes: number;
  /** Makes the arguments of a try for this worker, and mints its credentials. null: the try has ended meanwhile. */
  readonly prepare: (claim: Claim, slot: Slot) => Promise<BuildArgumentsMessage | null>;
  /** The secrets of a try that came back to us, as far as they can be known again: of its credentials there are only hashes. */
  readonly secretsOf: (claim: Claim) => readonly string[];
  /** The tag of an image of this repository that may prime the cache, or `''`. */
  readonly cacheTag: (claim: Claim) => Promise<string>;
  /** Whether a worker that vanishes now uses up a try: not when it is us who leave. */
  readonly lossCounts: () => boolean;
  /** How long a worker may take to stop a build that was ended elsewhere; then its session is ended. */
  readonly workerStopSeconds: number;
  readonly logger: AttemptLogger;
  readonly now: () => number;
  /** As `Math.random`. */
  readonly random: () => number;
  /** Aborted when the manager stops: nothing more is handed over or written. */
  readonly signal: AbortSignal;
}

interface AttemptLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/**
 * One try, from the claim to its end. Every write carries the lease's token, so that what happened to the build meanwhile
 * (cancelled, expired and given to another) is never undone.
 *
 *     claimed ──prepare──▶ handed over ──answer──▶ finished (complete, error, internalerror)
 *        │                   ▲  │  │└── worker gone, internal error ──▶ given back
 *        │       resumed ────┘  │  └── worker gone, which may come back ──▶ suspended ──▶ resumed, with whichever manager
 *        └── ended elsewhere ───┴── ended elsewhere (cancelled, overdue, lost) ──▶ worker told to stop, its answer ignored
 *                                                                          └── no answer in time ──▶ its session is ended
 */
export interface Attempt {
  readonly lease: Lease;
  /** The store says that the try has ended: the worker is told to stop. */
  endedElsewhere(reason: 'cancelled' | 'lost'): void;
  /** Resolves, without failing, when the slot is free again. */
  readonly done: Promise<void>;
}

/** Hands over a build that was claimed. */
export function startAttempt(claim: Claim, slot: Slot, dependencies: AttemptDependencies): Attempt {
  return runAttempt(claim, slot, dependencies, async (listen) => {
    const args = await persist(() => dependencies.prepare(claim, slot), dependencies.signal);
    if (args === null) return null;
    const listener = listen(createMasker(secretsOf(buildArgumentsSchema.parse(args))));
    return listener && slot.build(args, listener);
  });
}

/** Goes on with a try whose worker came back: listens to it before this returns. */
export function resumeAttempt(resumed: ResumedTry, slot: Slot, dependencies: AttemptDependencies): Attempt {
  return runAttempt(resumed, slot, dependencies, (listen) => {
    const { phase, lastLogSeq, lastMessageSeq, logBytes, build } = resumed;
    const listener = listen(createMasker(dependencies.secretsOf(resumed)), {
      seq: lastLogSeq,
      bytes: logBytes,
      message: lastMessageSeq,
      phase: phase !== null && isWorkerPhase(phase) ? phase : null,
      step: build.progress?.step ?? null,
    });
    return listener && slot.resume(listener);
  });
}

/** Makes what hears the worker; null: the try has ended meanwhile. */
type Listen = (masker: Masker, from?: LogPosition) => SlotListener | null;

function runAttempt(
  claim: Claim,
  slot: Slot,
  dependencies: AttemptDependencies,
  begin: (listen: Listen) => Promise<BuildAnswer | null> | null,
): Attempt {
  const { lease, build } = claim;
  const { leases, logger, random, signal, workerStopSeconds } = dependencies;
  const fields = { build: lease.buildId, try: lease.try, worker: slot.worker.id, slot: slot.worker.slot };
  const concluded = Promise.withResolvers<boolean>();
  let ended: 'cancelled' | 'lost' | null = null;
  let isAnswered = false;
  let dismissal: NodeJS.Timeout | undefined;
  let heard: { readonly log: TryLog; readonly masker: Masker } | null = null;

  const listen: Listen = (masker, from) => {
    if (ended !== null) return null;
    const log = createTryLog(lease, { ...dependencies, masker }, from);
    heard = { log, masker };
    logger.info(fields, from ? 'a worker is back with its build' : 'handing over a build');
    return {
      message: (phase, jsonData) => log.message(phase, jsonData),
      batch: (batch) => log.batch(batch),
      cacheTag: () => dependencies.cacheTag(claim),
      concluded: concluded.promise,
    };
  };

  const run = async (): Promise<void> => {
    const answer = await begin(listen);
    if (answer === null || heard === null) return;
    isAnswered = true;
    const { log, masker } = heard;
    await log.flush();
    log.end();
    concluded.resolve(await conclude(answer, masker));
  };

  /** Writes the try's end. That it was ended elsewhere meanwhile is no error: the store leaves it as it is. */
  const conclude = async (answer: BuildAnswer, masker: Masker): Promise<boolean> => {
    const end = tryEnd(answer, build, slot, masker, dependencies);
    const written = await persist(() => write(leases, lease, end), signal);
    const isWritten = written !== false && written !== null;
    logger[isWritten || ended === 'cancelled' ? 'info' : 'warn'](
      { ...fields, answer: describe(answer), became: end.type === 'suspend' ? 'suspended' : written, ended },
      'a try is over',
    );
    return isWritten;
  };

  const fail = async (error: unknown): Promise<void> => {
    if (signal.aborted) return;
    logger.warn({ ...fields, err: error }, 'a try failed in the manager');
    const words =
      error instanceof ExtensionsMissing
        ? error.message
        : "The manager met an unexpected error; its log has it by the build's id.";
    const how = giveBackAsInternal(build, buildFailure('internalerror', words), random);
    await persist(() => leases.giveBack(lease, how), signal).catch((again: unknown) =>
      logger.warn({ ...fields, err: again }, 'a try could not be given back'),
    );
  };

  const done = run()
    .catch(fail)
    .then(async () => {
      concluded.resolve(false);
      if (heard !== null) await slot.free();
      clearTimeout(dismissal);
    });

  return {
    lease,
    endedElsewhere(reason) {
      if (ended !== null || isAnswered) return;
      ended = reason;
      heard?.log.end();
      slot.tellCancelled(reason);
      dismissal = setTimeout(() => {
        logger.warn(
          { ...fields, ended },
          'a worker did not stop a build that was ended: its session is ended',
        );
        slot.dismiss(`it did not stop its build, which was ended ${workerStopSeconds} s ago`);
      }, workerStopSeconds * 1000);
    },
    done,
  };
}

type TryEnd =
  | { readonly type: 'finish'; readonly result: TryResult }
  | { readonly type: 'giveBack'; readonly how: GiveBack }
  | { readonly type: 'suspend'; readonly workerAway: boolean };

function write(leases: LeaseStore, lease: Lease, end: TryEnd): Promise<boolean | string | null> {
  switch (end.type) {
    case 'finish':
      return leases.finish(lease, end.result);
    case 'giveBack':
      return leases.giveBack(lease, end.how);
    case 'suspend':
      return leases.suspend(lease, { workerAway: end.workerAway });
  }
}

/** What a worker's answer means for the build (worker contract 0.3, "Errors"). */
function tryEnd(
  answer: BuildAnswer,
  build: BuildRow,
  slot: Slot,
  masker: Masker,
  { lossCounts, random }: Pick<AttemptDependencies, 'lossCounts' | 'random'>,
): TryEnd {
  const internalError = (error: BuildFailure): TryEnd => ({
    type: 'giveBack',
    how: giveBackAsInternal(build, error, random),
  });
  if (answer.type === 'gone') {
    const workerAway = lossCounts();
    if (answer.handedOver && slot.extensions.includes('resume')) return { type: 'suspend', workerAway };
    const words = workerAway ? 'The connection to the worker was lost.' : 'The manager was stopped.';
    const error = buildFailure('internalerror', words);
    const counted = answer.handedOver && workerAway;
    return { type: 'giveBack', how: { outcome: 'lost', error, counted, delaySeconds: 0 } };
  }
  if (answer.type === 'result') {
    const result = buildResultSchema.safeParse(answer.kwargs ?? {});
    if (!result.success)
      return internalError(buildFailure('internalerror', 'The worker sent no valid result.'));
    const { image_id, digests, digests_by_tag } = result.data;
    const outputs = { image_id, digests: digestsByTag(build.tagNames, digests, digests_by_tag) };
    return { type: 'finish', result: { state: 'complete', outputs } };
  }
  const code = buildErrorCode(answer.uri);
  const error = buildFailure(code, shorten(masker.mask(answer.baseError)));
  // We did not answer `false`: the worker stopped for a reason of its own.
  if (code === 'clientrejectedtransition' || mayTryAgain(code, answer.baseError)) return internalError(error);
  return { type: 'finish', result: { state: 'error', error } };
}

function giveBackAsInternal({ triesCounted }: BuildRow, error: BuildFailure, random: () => number): GiveBack {
  const delaySeconds = retryDelaySeconds(triesCounted, random);
  return { outcome: 'internalerror', error, counted: true, delaySeconds };
}

/** The digest of each tag: as the worker says, else its sole digest for all of them, else unknown. */
function digestsByTag(
  tags: readonly string[],
  references: readonly string[],
  byTag: Readonly<Record<string, string>> | undefined,
): Record<string, string | null> {
  const digests = [...new Set(references.map((reference) => reference.slice(reference.indexOf('@') + 1)))];
  const sole = digests.length === 1 ? digests[0] : undefined;
  return Object.fromEntries(
    tags.map((tag) => {
      const digest = byTag?.[tag] ?? sole;
      return [tag, digest !== undefined && isDigest(digest) ? digest : null];
    }),
  );
}

function shorten(text: string): string {
  const half = BASE_ERROR_MAX_CHARACTERS / 2;
  return text.length <= BASE_ERROR_MAX_CHARACTERS ? text : `${text.slice(0, half)}\n…\n${text.slice(-half)}`;
}

function describe(answer: BuildAnswer): string {
  return answer.type === 'error' ? answer.uri : answer.type;
}
