import { randomUUID } from 'node:crypto';
import type { Claim, HostedWorkerStore, Lease, LeaseStore } from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { LIFE_RESERVE_SECONDS } from '../limits.ts';
import { persist } from '../persist.ts';
import { hashSecret, newSecret } from '../secrets/tokens.ts';
import { askedTimeout } from '../submission/image-build.ts';
import { ExecutorError, type Executor } from './executor.ts';

export interface LaunchDependencies {
  readonly hostedWorkers: Pick<HostedWorkerStore, 'allocate' | 'withdraw' | 'remove'>;
  readonly leases: Pick<LeaseStore, 'giveBack'>;
  readonly manager: string;
  /** Where workers find the manager. */
  readonly server: string;
  /** Called once it is known what becomes of it, before its build may be claimed again. */
  readonly onEnd: (end: LaunchEnd) => void;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  /** Aborted when the manager stops and its time is over: nothing more is waited for. */
  readonly signal: AbortSignal;
}

/** What became of a launch. `elsewhere`: its try is not ours any more, and its worker is left to whoever looks after rows. */
export type LaunchEnd = 'came' | 'cancelled' | 'elsewhere' | 'stopped' | 'full' | 'failed';

/**
 * A build in `starting`: a hosted worker is on its way. What ends a launch before its worker has come never counts as a try.
 *
 *     claimed ──row written──▶ asked ──ready──▶ came (the try goes on with its slot)
 *                 │              ├── cancelled ──▶ worker ended
 *                 │              ├── executor failed, worker ended, not ready in time, manager stops ──▶ given back, worker ended
 *                 └──────────────┴── lease lost, or ready at another manager ──▶ elsewhere
 */
export interface Launch {
  readonly lease: Lease;
  readonly workerId: string;
  /** The store says that the try has ended, or is another manager's. */
  endedElsewhere(reason: 'cancelled' | 'lost'): void;
  /** Its worker was ready, and its build runs. */
  came(): void;
  /** Its worker has ended before. */
  workerEnded(reason: string): void;
  /** The manager stops. */
  stop(): void;
  /** Resolves, without failing, when nothing more is to be done for it. */
  readonly done: Promise<LaunchEnd>;
}

interface Ending {
  readonly end: LaunchEnd;
  /** For the operator and the user, where it is given back. */
  readonly reason: string;
}

export function startLaunch(executor: Executor, claim: Claim, dependencies: LaunchDependencies): Launch {
  const { lease } = claim;
  const { hostedWorkers, leases, manager, server, onEnd, logger, signal } = dependencies;
  const { name, setupSeconds, lifetimeSeconds } = executor.settings;
  const timeout = askedTimeout(claim.build.spec);
  const id = randomUUID();
  const fields = { build: lease.buildId, try: lease.try, executor: name, worker: id };
  const ending = Promise.withResolvers<Ending>();
  const end = (how: LaunchEnd, reason = ''): void => ending.resolve({ end: how, reason });

  const ask = async (realm: string, token: string): Promise<void> => {
    try {
      await executor.start({ id, realm, token, server: executor.settings.server ?? server });
    } catch (error) {
      if (!(error instanceof ExecutorError)) throw error;
      end(error.kind, error.message);
    }
  };

  const run = async (): Promise<LaunchEnd> => {
    const [realm, token] = [randomUUID(), newSecret()];
    const written = await persist(
      () =>
        hostedWorkers.allocate(lease, {
          id,
          executor: name,
          manager,
          realm,
          tokenHash: hashSecret(token),
          setupSeconds,
          lifetimeSeconds:
            timeout === null
              ? lifetimeSeconds
              : Math.max(lifetimeSeconds, setupSeconds + timeout + LIFE_RESERVE_SECONDS),
        }),
      signal,
    );
    if (!written) return 'elsewhere';
    logger.info(fields, 'starting a worker for a build');
    const late = setTimeout(
      () => end('failed', `it was not ready within ${setupSeconds} s`),
      setupSeconds * 1000,
    );
    void ask(realm, token).catch((error: unknown) => {
      logger.warn({ ...fields, err: error }, 'an executor failed in a way that is not known');
      end('failed', 'the executor met an unexpected error');
    });
    const how = await ending.promise;
    clearTimeout(late);
    return conclude(how);
  };

  const conclude = async ({ end: how, reason }: Ending): Promise<LaunchEnd> => {
    onEnd(how);
    if (how === 'came' || how === 'elsewhere') return how;
    if (how === 'cancelled') await persist(() => hostedWorkers.remove(id), signal);
    else {
      // From here on it cannot come any more; if it has come meanwhile, the try is its slot's.
      if (!(await persist(() => hostedWorkers.withdraw(id), signal))) return 'elsewhere';
      const words =
        how === 'stopped' ? 'The manager was stopped.' : `The executor ${name} brought no worker: ${reason}`;
      const error = buildFailure('internalerror', words);
      const back = { outcome: 'lost', error, counted: false, delaySeconds: 0 } as const;
      await persist(() => leases.giveBack(lease, back), signal);
      logger[how === 'failed' ? 'warn' : 'info']({ ...fields, reason }, 'no worker came for a build');
    }
    // Its row is gone: should this fail, whoever looks next ends it.
    await Promise.race([executor.stop(id), aborted(signal)]);
    return how;
  };

  const done = run().catch((error: unknown): LaunchEnd => {
    if (!signal.aborted) logger.warn({ ...fields, err: error }, 'a launch could not be concluded');
    return 'elsewhere';
  });
  return {
    lease,
    workerId: id,
    endedElsewhere: (reason) => end(reason === 'cancelled' ? 'cancelled' : 'elsewhere'),
    came: () => end('came'),
    workerEnded: (reason) => end('failed', `its worker ended before it was ready: ${reason}`),
    stop: () => end('stopped'),
    done,
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
