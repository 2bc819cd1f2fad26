import {
  buildErrorCode,
  buildErrorKinds,
  mayTryAgain,
  type BuildErrorCode,
} from '../../contract/build-errors.ts';
import {
  buildArgumentsSchema,
  buildResultSchema,
  type BuildArgumentsMessage,
} from '../../contract/build-arguments.ts';
import { createMasker, secretsOf, type Masker } from '../../contract/masking.ts';
import type { BuildFailure } from '../../contract/api.ts';
import { isDigest } from '../../contract/references.ts';
import type { BuildRow, Claim, GiveBack, Lease, LeaseStore, LogStore, TryResult } from '../../store/index.ts';
import { BASE_ERROR_MAX_CHARACTERS, RETRY_DELAY_SECONDS } from '../limits.ts';
import { createTryLog } from '../logs/try-log.ts';
import { persist } from '../persist.ts';
import type { BuildAnswer, Slot } from '../realms/slot.ts';

export interface AttemptDependencies {
  readonly leases: LeaseStore;
  readonly logs: LogStore;
  /** Makes the arguments of a try, and mints its credentials. null: the try has ended meanwhile. */
  readonly prepare: (claim: Claim) => Promise<BuildArgumentsMessage | null>;
  /** The tag of an image of this repository that may prime the cache, or `''`. */
  readonly cacheTag: (build: BuildRow) => Promise<string>;
  /** Whether a worker that vanishes now uses up a try: not when it is us who leave. */
  readonly lossCounts: () => boolean;
  readonly logger: AttemptLogger;
  readonly now: () => number;
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
 *        │                     │    └── worker gone, internal error ──▶ given back
 *        └── ended elsewhere ──┴── ended elsewhere (cancelled, lost) ──▶ worker told to stop, its answer ignored
 */
export interface Attempt {
  readonly lease: Lease;
  /** The store says that the try has ended: the worker is told to stop. */
  endedElsewhere(reason: 'cancelled' | 'lost'): void;
  /** Resolves, without failing, when the slot is free again. */
  readonly done: Promise<void>;
}

export function startAttempt(claim: Claim, slot: Slot, dependencies: AttemptDependencies): Attempt {
  const { lease, build } = claim;
  const { leases, logger, signal } = dependencies;
  const fields = { build: lease.buildId, try: lease.try, worker: slot.worker.id, slot: slot.worker.slot };
  let ended: 'cancelled' | 'lost' | null = null;
  let endLog = (): void => undefined;

  const run = async (): Promise<void> => {
    const args = await persist(() => dependencies.prepare(claim), signal);
    if (args === null || ended !== null) return;
    const masker = createMasker(secretsOf(buildArgumentsSchema.parse(args)));
    const log = createTryLog(lease, { ...dependencies, masker });
    endLog = () => log.end();
    logger.info(fields, 'handing over a build');
    const answer = await slot.build(args, {
      message: (phase, jsonData) => log.message(phase, jsonData),
      batch: (batch) => log.batch(batch),
      cacheTag: () => dependencies.cacheTag(build),
    });
    await log.flush();
    log.end();
    await conclude(answer, masker);
  };

  /** Writes the try's end. That it was ended elsewhere meanwhile is no error: the store leaves it as it is. */
  const conclude = async (answer: BuildAnswer, masker: Masker): Promise<void> => {
    const end = tryEnd(answer, build, masker, dependencies.lossCounts());
    const written =
      end.type === 'finish'
        ? await persist(() => leases.finish(lease, end.result), signal)
        : await persist(() => leases.giveBack(lease, end.how), signal);
    const level = written === false || written === null ? 'warn' : 'info';
    logger[level]({ ...fields, answer: describe(answer), became: written, ended }, 'a try is over');
  };

  const done = run().catch(async (error: unknown) => {
    if (signal.aborted) return;
    logger.warn({ ...fields, err: error }, 'a try failed in the manager');
    const how = { outcome: 'internalerror', error: failure('internalerror', ''), counted: true } as const;
    await persist(() => leases.giveBack(lease, { ...how, delaySeconds: RETRY_DELAY_SECONDS }), signal).catch(
      (again: unknown) => logger.warn({ ...fields, err: again }, 'a try could not be given back'),
    );
  });

  return {
    lease,
    endedElsewhere(reason) {
      if (ended !== null) return;
      ended = reason;
      endLog();
      slot.tellCancelled(reason);
    },
    done,
  };
}

type TryEnd =
  | { readonly type: 'finish'; readonly result: TryResult }
  | { readonly type: 'giveBack'; readonly how: GiveBack };

/** What a worker's answer means for the build (worker contract 0.3, "Errors"). */
function tryEnd(answer: BuildAnswer, build: BuildRow, masker: Masker, lossCounts: boolean): TryEnd {
  if (answer.type === 'gone') {
    const counted = answer.handedOver && lossCounts;
    return { type: 'giveBack', how: { outcome: 'lost', counted, delaySeconds: 0 } };
  }
  if (answer.type === 'result') {
    const result = buildResultSchema.safeParse(answer.kwargs ?? {});
    if (!result.success) return internalError(failure('internalerror', 'the worker sent no valid result'));
    const { image_id, digests, digests_by_tag } = result.data;
    const outputs = { image_id, digests: digestsByTag(build.tagNames, digests, digests_by_tag) };
    return { type: 'finish', result: { state: 'complete', outputs } };
  }
  const code = buildErrorCode(answer.uri);
  const error = failure(code, shorten(masker.mask(answer.baseError)));
  // We did not answer `false`: the worker stopped for a reason of its own.
  if (code === 'clientrejectedtransition' || mayTryAgain(code, answer.baseError)) return internalError(error);
  return { type: 'finish', result: { state: 'error', error } };
}

function internalError(error: BuildFailure): TryEnd {
  const how = { outcome: 'internalerror', error, counted: true, delaySeconds: RETRY_DELAY_SECONDS } as const;
  return { type: 'giveBack', how };
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

function failure(code: BuildErrorCode, baseError: string): BuildFailure {
  const { message, help } = buildErrorKinds[code];
  return { code, message, help, base_error: baseError };
}

function shorten(text: string): string {
  const half = BASE_ERROR_MAX_CHARACTERS / 2;
  return text.length <= BASE_ERROR_MAX_CHARACTERS ? text : `${text.slice(0, half)}\n…\n${text.slice(-half)}`;
}

function describe(answer: BuildAnswer): string {
  return answer.type === 'error' ? answer.uri : answer.type;
}
