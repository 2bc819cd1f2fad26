import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { chosenSettings } from '../contract/configuration.ts';
import { createDisposables } from '../contract/disposables.ts';
import { makeFolders } from '../contract/folders.ts';
import { managerConfiguration } from './config.ts';
import { depart } from './departure.ts';
import { readExecutorsFile } from './executors/executors-file.ts';
import { loadApiTokens } from './http/api-tokens.ts';
import { authorityOf, type ListenAddress } from './listen-address.ts';
import { createMetrics } from './metrics/metrics.ts';
import { probeManager } from './metrics/probe-manager.ts';
import { letWorkersIn } from './parts/let-workers-in.ts';
import { openRegistries } from './parts/open-registries.ts';
import { openState } from './parts/open-state.ts';
import { startApi } from './parts/start-api.ts';
import { startScheduling } from './parts/start-scheduling.ts';
import { startUpkeep } from './parts/start-upkeep.ts';
import type { ManagerSurroundings } from './parts/surroundings.ts';
import { loadRegistrationTickets } from './realms/registration-tickets.ts';
import type { ManagerSettings } from './settings.ts';

/** The worker of this package. */
const WORKER_PROGRAM = resolve(import.meta.dirname, '../../bin/quay-builder');

export interface Manager {
  /** Where its listeners listen, the ports that were chosen for 0 included. */
  readonly wamp: ListenAddress;
  readonly http: ListenAddress;
  /** Takes no more builds, has its workers go elsewhere, waits for those that cannot, and ends; waits for nobody once it is `hurried`. */
  stop(hurried: AbortSignal): Promise<void>;
}

/**
 * Starts everything a manager is, in the order in which each needs the others. What was started is ended again when a later
 * part fails.
 */
export async function startManager(
  settings: ManagerSettings,
  version: string,
  logger: Logger,
): Promise<Manager> {
  const dataDirectory = resolve(settings.DATA_DIR);
  const manager = settings.MANAGER_ID ?? hostname();
  const now = Date.now;
  await makeFolders(dataDirectory);
  await using starting = createDisposables();
  const metrics = createMetrics();
  metrics.info.set({ manager, version }, 1);
  const surroundings: ManagerSurroundings = {
    settings,
    manager,
    version,
    dataDirectory,
    metrics,
    logger,
    now,
    starting,
  };

  // Whoever wrote a file wrongly need not wait for the database.
  const apiTokens =
    settings.API_TOKENS_FILE === null
      ? null
      : await loadApiTokens(settings.API_TOKENS_FILE, (error) =>
          logger.warn({ err: error }, 'the API tokens'),
        );
  const tickets =
    settings.REGISTRATION_TICKETS_FILE === null
      ? null
      : await loadRegistrationTickets(settings.REGISTRATION_TICKETS_FILE, (error) =>
          logger.warn({ err: error }, 'the tickets of workers'),
        );
  const executorEntries =
    settings.EXECUTORS_FILE === null ? [] : await readExecutorsFile(settings.EXECUTORS_FILE);

  const state = await openState(surroundings);
  const { store } = state;
  await store.workers.sweep({ manager });

  const registries = await openRegistries(surroundings, state, apiTokens);

  let status: 'running' | 'stopping' = 'running';
  const api = await startApi(surroundings, { state, registries, apiTokens, managerStatus: () => status });

  const stopping = new AbortController();
  const { signal } = stopping;
  const scheduling = await startScheduling(surroundings, {
    state,
    registries,
    executorEntries,
    workerProgram: WORKER_PROGRAM,
    publicUrl: api.publicUrl,
    signal,
  });
  const { scheduler, fleet } = scheduling;
  startUpkeep(surroundings, state);
  const listener = await letWorkersIn(surroundings, { store, scheduling, tickets, signal });
  probeManager(metrics, listener, fleet);

  const wampUrl =
    settings.PUBLIC_WAMP_URL?.href ??
    `${settings.WAMP_TLS_CERT_PATH === null ? 'ws' : 'wss'}://${authorityOf(listener.address)}`;
  fleet.open(wampUrl.replace(/\/+$/, ''), () => scheduler.wake());

  await store.audit.record({
    actor: { name: `manager:${manager}`, address: null },
    action: 'manager.start',
    object: manager,
    detail: { version, settings: chosenSettings(managerConfiguration, settings) },
  });

  const running = starting.move();
  return {
    wamp: listener.address,
    http: api.address,
    async stop(hurried) {
      status = 'stopping';
      try {
        const { STOP_DELAY_SECONDS: delaySeconds, STOP_WITHIN_SECONDS: withinSeconds } = settings;
        await depart(
          { scheduler, fleet, listener, delaySeconds, withinSeconds, logger, giveUp: stopping },
          hurried,
        );
      } finally {
        stopping.abort();
        await running[Symbol.asyncDispose]();
      }
    },
  };
}
